"""Segments: the SQL to read, its members now, who came and went, and the button that publishes."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.remembered import remembered
from dunning_pipeline.console.scope import needs_all_accounts
from dunning_pipeline.errors import DunningError, NotThere, Refused
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.segmenting import publications
from dunning_pipeline.sql_models.segmenting.segments import Segment, find_segment, load_segments, preview
from dunning_pipeline.sql_models.snapshot import snapshot_file

SHOWN_MEMBERS = 200
LARGEST_FILTER = 20_000
MEMBERS_SECONDS = 600


@allowed("viewer")
def list_segments(desk: Desk) -> Response:
    segments = load_segments(desk.workspace)
    newest = {s.name: next(iter(publications.history(desk.workspace, s.name)), None) for s in segments}
    return desk.page("segments.html", segments=segments, newest=newest)


@allowed("viewer")
def show_segment(desk: Desk) -> Response:
    needs_all_accounts(desk)
    segment = find_segment(desk.workspace, desk.request.path_params["name"])
    values = {p.name: desk.asked(p.name) for p in segment.parameters if desk.asked(p.name)}
    members, changes, error = [], [], None
    kept = publications.history(desk.workspace, segment.name)
    try:
        members = _members(desk.workspace, segment, values)
        if len(kept) > 1:
            found = publications.diff(desk.workspace, segment.name, parameters=values)
            changes = found.pl().head(SHOWN_MEMBERS).to_dicts()
    except DunningError as mistake:
        error = mistake
    return desk.page(
        "segment.html",
        segment=segment,
        source=segment.model.text,
        members=members[:SHOWN_MEMBERS],
        has_more=len(members) > SHOWN_MEMBERS,
        kept=kept,
        changes=changes,
        error=error,
    )


def _members(ws: Workspace, segment: Segment, values: dict[str, str]) -> list[dict[str, Any]]:
    """The first members; of one snapshot and one text of the file they are the same, so they are asked for once."""

    def asked() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (
            preview(ws, segment.name, parameters=values, limit=SHOWN_MEMBERS + 1).pl().to_dicts()
        )
        return rows

    if values:
        return asked()
    key = ("members", snapshot_file(ws), segment.name, segment.sql_sha256)
    return remembered(key, asked, seconds=MEMBERS_SECONDS)


@allowed("approver")
def publish(desk: Desk) -> Response:
    needs_all_accounts(desk)
    name = desk.request.path_params["name"]
    publication = publications.publish_segment(desk.workspace, name, now=desk.now)
    facts = {"members": publication.count, "sql_sha256": publication.sql_sha256}
    desk.record("publish_segment", "segment", name, after=facts)
    return desk.go(f"/segments/{name}", desk.wording.text("Published."))


def segment_names(desk: Desk) -> list[str]:
    """Names of the published segments, for filters."""
    try:
        return _names(desk.workspace, snapshot_file(desk.workspace))
    except NotThere:
        return []


@lru_cache(maxsize=8)
def _names(workspace: Workspace, snapshot: Path) -> list[str]:
    sql = "select table_name from duckdb_tables() where schema_name = 'segments' order by table_name"
    return [row["table_name"] for row in published.rows(workspace, sql)]


def members_of(desk: Desk, name: str) -> list[str]:
    """Keys of the accounts in a published segment. Raises NotThere, Refused for one too large for a filter."""
    needs_all_accounts(desk)
    if name not in segment_names(desk):
        raise NotThere("there is no such published segment", value=name, remedy="see the list of segments")
    sql = f"""select links.account_key from segments."{name}" as members
        join unified.account_links as links on links.unified_account_id = members.unified_account_id
        limit {LARGEST_FILTER + 1}"""
    keys = [row["account_key"] for row in published.rows(desk.workspace, sql)]
    if len(keys) > LARGEST_FILTER:
        raise Refused(f"the segment has more than {LARGEST_FILTER} accounts", remedy="start a run for the segment")
    return keys


routes = [
    Route("/segments", list_segments),
    Route("/segments/{name}", show_segment),
    Route("/segments/{name}/publish", publish, methods=["POST"]),
]
