"""One unified profile: its fields, its records and what joined each, its history, its debts, what people decided."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

import duckdb
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import published
from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import PAGE_SIZE
from dunning_pipeline.console.pages.accounts import owed_by
from dunning_pipeline.console.pages.searching import found_accounts, of_keys
from dunning_pipeline.console.pairs import KINDS, Decisions, seen_of_profile, standing, taken_back, waiting
from dunning_pipeline.errors import NotThere
from dunning_pipeline.identity.decisions import list_decisions
from dunning_pipeline.identity.explaining import WHY_NOT, differences, explanation, find_profile, profile, shared_by
from dunning_pipeline.identity.validation import sides_of
from dunning_pipeline.sql_models.shapes import table_exists

NOT_FIELDS = ("kind", "records", "contact_points", "events", "account_count", "record_count")
MODELS = {"account": ("data_model.accounts", "account_key"), "individual": ("data_model.contacts", "contact_key")}
HIDDEN = "it leads over records that your user does not see"


def resolved(desk: Desk) -> duckdb.DuckDBPyConnection:
    """The snapshot, for the functions of dunning_pipeline.identity. Raises NotThere before the first build."""
    con = published.cursor(desk.workspace)
    if not table_exists(con, "identity", "suggestions"):
        raise NotThere("no profiles are published yet", remedy="they are there after the next build")
    return con


@allowed("viewer")
def show_profile(desk: Desk) -> Response:
    con, name = resolved(desk), desk.request.path_params["name"]
    kind, unified_id, seen = _found(desk, con, name)
    if name != unified_id:
        moved = (
            desk.wording.text("{old} is part of this profile now.", old=name) if name[:3] == unified_id[:3] else None
        )
        return desk.go(profile_path(unified_id), moved)
    shown = profile(con, unified_id)
    records = [row for row in shown["records"] if row["record_key"] in seen]
    hidden = len(shown["records"]) - len(records)
    page = max(1, desk.whole(desk.asked("page"), most=2_000) or 1)
    listed = records[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    keys = {row["record_key"] for row in listed}
    fields = _fields(con, shown, seen) if hidden else {k: v for k, v in shown.items() if k not in NOT_FIELDS}
    fields = {name: value for name, value in fields.items() if value is not None and not name.startswith("unified_")}
    names = [fields.get("name") or fields.get("full_name")]
    names += [" ".join(fields[part] for part in ("first_name", "last_name") if fields.get(part))]
    decided = list_decisions(desk.engine)
    pairs = waiting(desk, con, decided, kind=kind, about=unified_id)
    return desk.page(
        "profile.html", kind=kind, unified_id=unified_id, fields=fields, events=shown["events"],
        title=next((name for name in names if name), unified_id), records=listed, count=len(records), hidden=hidden,
        page=page, has_more=len(records) > page * PAGE_SIZE, sides=sides_of(con, kind, keys), account_of=seen,
        points=[point for point in shown["contact_points"] if point["record_key"] in keys],
        choices=sorted(seen) if len(seen) <= PAGE_SIZE else [],
        between=_path(desk, con, kind, unified_id, seen, hidden, decided), pairs=pairs.rows,
        more_pairs=pairs.count - len(pairs.rows),
        decisions=[row for row in standing(desk, con, decided) if row["kind"] == kind
                   and {row["left_record"], row["right_record"]} & set(seen)],
        taken_back=taken_back(desk, con, kind, seen), shared=shared_by, why_not=WHY_NOT, **_debts(desk, seen, listed),
    )  # fmt: skip


def profile_path(unified_id: str) -> str:
    return f"/profiles/{quote(unified_id, safe=':')}"


def _found(desk: Desk, con: duckdb.DuckDBPyConnection, name: str) -> tuple[str, str, dict[str, str | None]]:
    """Kind, id and seen records of the profile that somebody names; 404 where it is not there or out of scope."""
    of = desk.asked("of") if desk.asked("of") in KINDS else None
    try:
        kind, unified_id = find_profile(con, name, of=of)
    except NotThere:
        retired = "select 1 from identity.id_events where event = 'retire' and old_id = ?"
        gone = con.execute(retired, [name]).fetchone()
        raise HTTPException(404, "the profile has no record left" if gone else "there is no such profile") from None
    seen = seen_of_profile(desk, con, kind, unified_id)
    if not seen:
        raise HTTPException(404, "there is no such profile")
    return kind, unified_id, seen


def _fields(con: duckdb.DuckDBPyConnection, shown: Mapping[str, Any], seen: Collection[str]) -> dict[str, Any]:
    """The reconciled fields that some record which the user sees says as well: another's are not told."""
    model, key = MODELS[shown["kind"]]
    cursor = con.execute(f"select * from {model} where {key} in (select unnest(?))", [list(seen)])
    columns = [column[0] for column in cursor.description or ()]
    said: dict[str, set[str]] = {column: set() for column in columns}
    for row in cursor.fetchall():
        for column, value in zip(columns, row, strict=True):
            said[column].add(str(value).strip())
    return {name: value for name, value in shown.items() if name in said and str(value) in said[name]}


def _path(
    desk: Desk,
    con: duckdb.DuckDBPyConnection,
    kind: str,
    unified_id: str,
    seen: Mapping[str, Any],
    hidden: int,
    decided: Decisions,
) -> dict[str, Any]:
    """Why two records are one, or are not: `steps` or `rows`, or a `problem` in words; of a small profile that nobody
    asks about two records of, all its steps."""
    start, end = desk.asked("from"), desk.asked("to")
    told: dict[str, Any] = {"from": start, "to": end, "steps": [], "rows": [], "problem": None}
    if not end:
        steps = explanation(con, unified_id, of=kind) if len(seen) + hidden <= PAGE_SIZE else []
        return told | {"steps": [step for step in steps if {step["from"], step["to"]} <= set(seen)]}
    try:
        if start not in seen:
            raise NotThere("is no record of this profile", value=start)
        if end in seen:
            steps = explanation(con, start, end, of=kind)
            is_seen = all({step["from"], step["to"]} <= set(seen) for step in steps)
            return told | ({"steps": steps} if is_seen else {"problem": HIDDEN})
        _, other = find_profile(con, end, of=kind)
        others = seen_of_profile(desk, con, kind, other)
        all_seen = con.execute(f"select count(*) from identity.{kind}_links where unified_{kind}_id = ?", [other])
        if not others or other == unified_id:
            raise NotThere("no profile and no source record has this id", value=end)
        if hidden or len(others) < (all_seen.fetchone() or (0,))[0]:
            return told | {"problem": HIDDEN}
        return told | {"rows": differences(con, unified_id, other, decided)}
    except NotThere as error:
        return told | {"problem": f"{error.message} (value: {error.value!r})"}


def _debts(desk: Desk, seen: Mapping[str, str | None], listed: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the accounts owe: `owed` by account, `totals` by currency over all of the profile; and `names` of those of
    the listed records."""
    keys = sorted({account for account in seen.values() if account})
    owed = owed_by(desk, keys)
    totals: dict[str, dict[str, Any]] = {}
    for row in (row for rows in owed.values() for row in rows):
        total = totals.setdefault(row["currency"], {"currency": row["currency"], "open": 0, "overdue": 0})
        total["open"] += row["open"]
        total["overdue"] += row["overdue"] or 0
    shown = sorted({str(seen[row["record_key"]]) for row in listed})
    names = {row["account_key"]: row["name"] for row in found_accounts(desk, *of_keys(shown))}
    return {"owed": owed, "totals": [totals[currency] for currency in sorted(totals)], "names": names}


# an id of a source may hold a slash: asked last
last_routes = [Route("/profiles/{name:path}", show_profile)]
routes: list[Route] = []
