"""Turns a decision's Arrow tables into rows in the ledger's stored form, and compares them with the open drafts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
import orjson
from sqlalchemy import Boolean, Column, Date, Engine, Integer, select

from dunning_pipeline.ledger.bulk import CHUNK_ROWS, chunks
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.identifiers import new_head
from dunning_pipeline.ledger.schema import decisions, statement_details, statements
from dunning_pipeline.ledger.types import Json, instant_text

# What a decision says of a statement; everything else in the row is its life in the ledger.
PROPOSED = (
    "kind", "dunning_date", "account_key", "account_id", "account_name", "unified_account_id", "bill_group_key",
    "bill_group_id", "unit_key", "legal_entity", "process", "process_hash", "level", "level_name", "currency",
    "due_date", "language", "time_zone", "template", "channels", "approval", "attach_invoices", "do_not_send",
    "recipients", "address", "principal_minor", "credits_minor", "open_credits_minor", "interest_minor", "fees_minor",
    "please_pay_minor", "hold_reason", "draft_key",
)  # fmt: skip
DETAILS = [column.name for column in statement_details.columns if column.name not in ("statement_id", "position")]
_DECIDED = [column.name for column in decisions.columns if column.name not in ("statement_id", "run_id")]
_DEFAULTS = {"attach_invoices": "true", "do_not_send": "false", "recipients": "'{}'", "address": "'{}'"}
# What is compared with a proposal, and what `stale` may ask about.
_OF_DRAFTS = (
    "draft_key", "statement_id", "proposal_sha256", "kind", "process", "level", "account_key", "account_id", "run_id",
    "unit_key",
)  # fmt: skip
_EMPTY_JSON = ("distribution", "texts", "hand_edits", "conflicts")


@dataclass(frozen=True)
class Comparison:
    """How many proposals are new, changed or the same as their open draft."""

    new: int
    changed: int
    unchanged: int


class Proposals:
    """A decision's statements, details and decision rows beside the open drafts, in an in-memory database.

    Rows come out as tuples in stored form (dates and instants as ISO text, JSON as text), in chunks.
    """

    def __init__(self, decision: Any) -> None:
        self._con = duckdb.connect()
        for name in ("statements", "details", "decisions"):
            self._con.register(f"arrow_{name}", getattr(decision, name))
        self._columns = {name: self._types(f"arrow_{name}") for name in ("statements", "details", "decisions")}
        self._con.execute(f"create table proposed as select {self._proposed()} from arrow_statements")
        self._con.execute(f"create table details as select {self._details()} from arrow_details")
        self._con.execute(
            f"create table judged as select {self._decisions()} from arrow_decisions where draft_key is not null"
        )
        self._con.execute(
            f"""
            create table hashed as
            with lines as (
                select draft_key, string_agg({_joined("position", *DETAILS)}, chr(30) order by position) as lines
                from details group by draft_key
            )
            select draft_key, sha256(concat_ws(chr(30), {_joined(*PROPOSED)}, lines)) as proposal_sha256
            from proposed left join lines using (draft_key)
            """
        )

    def close(self) -> None:
        self._con.close()

    def compare(self, engine: Engine) -> Comparison:
        """Match the proposals with the open drafts of the ledger and give the new ones an id."""
        self._load_drafts(engine)
        self._con.execute(
            """
            create or replace table numbered as
            with matched as (
                select draft_key, hashed.proposal_sha256, drafts.statement_id as known_id,
                    case when drafts.statement_id is null then 'new'
                        when drafts.proposal_sha256 is distinct from hashed.proposal_sha256 then 'changed'
                        else 'unchanged' end as fate
                from hashed left join drafts using (draft_key)
            )
            select draft_key, proposal_sha256, fate,
                row_number() over (partition by fate order by draft_key) - 1 as place,
                coalesce(known_id, $head || printf('%06x', place)) as statement_id
            from matched
            """,
            {"head": new_head()},
        )
        found = self._con.execute("select fate, count(*) from numbered group by fate").fetchall()
        counts: dict[str, int] = dict(found)
        return Comparison(*(counts.get(fate, 0) for fate in ("new", "changed", "unchanged")))

    def chunks(
        self, fate: str, *, run_id: str, now: datetime, actor: str, size: int = CHUNK_ROWS
    ) -> Iterator[tuple[list[tuple[Any, ...]], list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
        """For "new" or "changed": (statement rows, detail rows, decision rows) of `size` statements at a time.

        Columns are those of STATEMENT_COLUMNS, DETAIL_COLUMNS and DECISION_COLUMNS.
        """
        at = instant_text(now)
        constants: dict[str, Any] = {"status": "draft", "run_id": run_id, "updated_by": actor, "row_version": 1}
        constants |= {"created_at": at, "updated_at": at, **dict.fromkeys(_EMPTY_JSON, "{}")}
        chosen = ", ".join(f"${name}" if name in constants else name for name in STATEMENT_COLUMNS)
        heads = self._of(fate, chosen, "proposed", constants)
        lines = self._of(fate, ", ".join(DETAIL_COLUMNS), "details", then="position")
        judged = self._of(
            fate, ", ".join(f"${n}" if n == "run_id" else n for n in DECISION_COLUMNS), "judged", {"run_id": run_id}
        )
        sizes = zip(self._sizes(fate, "details", size), self._sizes(fate, "judged", size), strict=True)
        for line_count, judged_count in sizes:
            yield heads.fetchmany(size), lines.fetchmany(line_count), judged.fetchmany(judged_count)

    def _of(
        self, fate: str, columns: str, table: str, constants: Mapping[str, Any] | None = None, then: str = "draft_key"
    ) -> duckdb.DuckDBPyConnection:
        """A cursor over the rows of `table` whose statements have this fate, in the order of their places."""
        return self._con.cursor().execute(
            f"select {columns} from numbered inner join {table} using (draft_key) where fate = $fate "
            f"order by place, {then}",
            {"fate": fate, **(constants or {})},
        )

    def _sizes(self, fate: str, table: str, size: int) -> list[int]:
        """How many rows of `table` go with each chunk of `size` statements."""
        found = self._con.execute(
            f"select count({table}.draft_key) from numbered left join {table} using (draft_key) where fate = ? "
            f"group by place // {size} order by place // {size}",
            [fate],
        ).fetchall()
        return [count for (count,) in found]

    def stale(self, condition: str, parameters: Sequence[Any]) -> list[str]:
        """Ids of open drafts that fit `condition` (SQL over drafts) and were not proposed any more."""
        query = f"""
            select statement_id from drafts
            where {condition} and not exists (select 1 from hashed where hashed.draft_key = drafts.draft_key)
            order by statement_id
        """
        return [statement_id for (statement_id,) in self._con.execute(query, list(parameters)).fetchall()]

    def statement_ids(self) -> list[str]:
        """The ledger's ids of all proposals, in the order of their draft keys."""
        return [key for (key,) in self._con.execute("select statement_id from numbered order by draft_key").fetchall()]

    def held(self) -> list[tuple[str, str, str, str]]:
        """(statement id, account key, account name, hold reason) of proposals that need a person."""
        return self._con.execute(
            "select statement_id, account_key, account_name, hold_reason from numbered "
            "inner join proposed using (draft_key) where hold_reason is not null order by draft_key"
        ).fetchall()

    # -- shapes ---------------------------------------------------------------------------------------------------

    def _load_drafts(self, engine: Engine) -> None:
        columns = [statements.c[name] for name in _OF_DRAFTS]
        empty = _drafts_of("'[]'")
        self._con.execute(f"create or replace table drafts as {empty}")
        with reading(engine) as connection:
            found = connection.execute(select(*columns).where(statements.c.status == "draft"))
            for some in chunks(found, 10 * CHUNK_ROWS):  # as JSON: making Arrow arrays of lists would load pandas
                named = orjson.dumps([dict(zip(_OF_DRAFTS, row, strict=True)) for row in some]).decode()
                self._con.execute(f"insert into drafts {_drafts_of('$drafts')}", {"drafts": named})

    def _types(self, relation: str) -> dict[str, str]:
        return {row[0]: row[1] for row in self._con.execute(f"describe {relation}").fetchall()}

    def _proposed(self) -> str:
        known = self._columns["statements"]
        return ", ".join(_stored(statements.c[name], known, _DEFAULTS.get(name, "null")) for name in PROPOSED)

    def _details(self) -> str:
        known = self._columns["details"]
        order = "position" if "position" in known else "0"
        typed = ", ".join(_stored(statement_details.c[name], known, "null") for name in DETAILS)
        place = f"cast(row_number() over (partition by draft_key order by {order}) as integer)"
        return f"draft_key, {place} as position, {typed}"

    def _decisions(self) -> str:
        known = self._columns["decisions"]
        return "draft_key, " + ", ".join(_stored(decisions.c[name], known, "null") for name in _DECIDED)


STATEMENT_COLUMNS = (
    "statement_id", "status", "run_id", "proposal_sha256", "row_version", "created_at", "updated_at", "updated_by",
    *_EMPTY_JSON, *PROPOSED,
)  # fmt: skip
DETAIL_COLUMNS = ("statement_id", "position", *DETAILS)
DECISION_COLUMNS = ("statement_id", "run_id", *_DECIDED)


def _drafts_of(text: str) -> str:
    """SQL for the open drafts in `text`, itself SQL for JSON: a list of objects with the fields of _OF_DRAFTS."""
    shape = ", ".join(f'"{name}": "{"BIGINT" if name == "level" else "VARCHAR"}"' for name in _OF_DRAFTS)
    return f"select unnest(from_json({text}, '[{{{shape}}}]'), recursive := true)"


def _joined(*columns: str) -> str:
    """SQL for one text of these columns: what is hashed to tell a changed proposal from the same one."""
    said = ", ".join(f"coalesce(cast({name} as varchar), chr(0))" for name in columns)
    return f"concat_ws(chr(31), {said})"


def _stored(column: Column[Any], known: Mapping[str, str], default: str) -> str:
    """SQL that brings one column of the decision into the ledger's stored form; `default` where it is not there."""
    name = column.name
    if name not in known:
        value = "null"
    elif isinstance(column.type, Json) and known[name] not in ("VARCHAR", "JSON"):
        value = f"to_json({name})"
    elif isinstance(column.type, Date):
        value = f"strftime(cast({name} as date), '%Y-%m-%d')"
    else:
        value = name
    kind = "varchar"
    if isinstance(column.type, Integer):  # BigInteger is one too
        kind = "bigint"
    elif isinstance(column.type, Boolean):
        kind = "boolean"
    return f"coalesce(cast({value} as {kind}), {default}) as {name}"
