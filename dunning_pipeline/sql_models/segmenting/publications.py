"""Publications of segments: members as Parquet, count, time and hash beside them; who came and who went."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.folder.project import MEMBER
from dunning_pipeline.sql_models.reading import Rows
from dunning_pipeline.sql_models.segmenting.segments import Segment, explaining, members_query, refuse_doubled
from dunning_pipeline.sql_models.snapshot import snapshot_date

KEPT_PUBLICATIONS = 10


@dataclass(frozen=True)
class Publication:
    """One publication: `<folder>/<name>.json`, its members in the Parquet file beside it."""

    segment: str
    published_at: str
    run_date: str
    count: int
    sql_sha256: str
    parameters: Mapping[str, Any]
    file: Path

    @property
    def members(self) -> Path:
        return self.file.with_suffix(".parquet")


def publish_segment(
    ws: Workspace, name: str, *, now: datetime, parameters: Mapping[str, str] | None = None
) -> Publication:
    """Publish the members that the segment's file yields now on the published snapshot. Raises as preview does."""
    with members_query(ws, name, parameters=parameters) as (con, sql, segment):
        run_date = snapshot_date(con)
        refuse_doubled(con, sql, segment.model)
        return write_publication(con, ws, segment, sql, run_date=run_date, now=now, parameters=parameters or {})


def write_publication(
    con: duckdb.DuckDBPyConnection,
    ws: Workspace,
    segment: Segment,
    sql: str,
    *,
    run_date: date,
    now: datetime,
    parameters: Mapping[str, str],
) -> Publication:
    """Write what `sql` yields in `con` as the newest publication, and drop all but the last ones."""
    folder = _folder(ws, segment.name)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{_next_number(folder):08d}.json"
    partial = folder / "writing.parquet"
    path = str(partial).replace("'", "''")
    prefix = "copy (select * from (\n"
    with explaining(sql, segment.model, prefix=prefix):
        con.execute(f"{prefix}{sql}\n) order by {MEMBER}) to '{path}' (format parquet, compression zstd)")
    count = con.execute(f"select count(*) from read_parquet('{path}')").fetchall()[0][0]
    content = {
        "segment": segment.name,
        "published_at": now.isoformat(),
        "run_date": run_date.isoformat(),
        "count": count,
        "sql_sha256": segment.sql_sha256,
        "parameters": dict(parameters),
    }
    partial.replace(file.with_suffix(".parquet"))
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(fresh, file)  # noqa: PTH105 - the JSON comes last: a publication without it does not exist
    for old in sorted(folder.glob("*.json"))[:-KEPT_PUBLICATIONS]:
        old.unlink()
        old.with_suffix(".parquet").unlink(missing_ok=True)
    return _read(file)


def history(ws: Workspace, name: str) -> list[Publication]:
    """The kept publications of a segment, the newest first."""
    return [_read(file) for file in sorted(_folder(ws, name).glob("*.json"), reverse=True)]


def last_publication(ws: Workspace, name: str) -> Publication | None:
    return next(iter(history(ws, name)), None)


def is_edited(segment: Segment, last: Publication | None) -> bool:
    """Whether the segment's file is another one than was published last; false where none was."""
    return last is not None and last.sql_sha256 != segment.sql_sha256


def diff(
    ws: Workspace, name: str, *, back: int = 1, edited: bool = False, parameters: Mapping[str, str] | None = None
) -> Rows:
    """Who came and who went: change (came | went), unified_account_id, account_name.

    Compares the newest publication with the one `back` before it; with `edited`, the file as it is now with the
    newest publication. Raises NotThere where there is too little history.
    """
    before = _parquet(_nth(ws, name, 0 if edited else back).members)
    with members_query(ws, name, parameters=parameters) as (con, sql, _):
        after = f"(\n{sql}\n)" if edited else _parquet(_nth(ws, name, 0).members)
        changes = (
            f"select 'came' as change, {MEMBER} from {after} as after anti join {before} as before using ({MEMBER}) "
            f"union all "
            f"select 'went' as change, {MEMBER} from {before} as before anti join {after} as after using ({MEMBER})"
        )
        named = (
            f"select changes.*, profiles.name as account_name from ({changes}) as changes "
            f"left join unified.unified_accounts as profiles using ({MEMBER}) order by change, {MEMBER}"
        )
        return Rows(con.sql(named).to_arrow_table())


def _parquet(file: Path) -> str:
    return "read_parquet('" + str(file).replace("'", "''") + "')"


def _nth(ws: Workspace, name: str, back: int) -> Publication:
    kept = history(ws, name)
    if back >= len(kept):
        raise NotThere(
            f"{name} has no publication number {back + 1} from the end, kept are {len(kept)}",
            remedy=f"publish it: dunning segment publish {name}",
        )
    return kept[back]


def _folder(ws: Workspace, name: str) -> Path:
    return ws.state / "segments" / name


def _next_number(folder: Path) -> int:
    return max((int(file.stem) for file in folder.glob("*.json") if file.stem.isdigit()), default=0) + 1


def _read(file: Path) -> Publication:
    return Publication(**json.loads(file.read_text(encoding="utf-8")), file=file)
