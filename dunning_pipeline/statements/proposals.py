"""Turns a decision's Arrow tables into rows in the ledger's stored form, and compares them with the open drafts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
from sqlalchemy import Boolean, Column, Date, Engine, Integer, select

from dunning_pipeline.ledger.bulk import CHUNK_ROWS
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.identifiers import new_ids
from dunning_pipeline.ledger.schema import decisions, statement_details, statements
from dunning_pipeline.ledger.types import Json, instant_text

# What a decision says of a statement; everything else in the row is its life in the ledger.
PROPOSED = [
    "kind",
    "dunning_date",
    "account_key",
    "account_id",
    "account_name",
    "unified_account_id",
    "bill_group_key",
    "bill_group_id",
    "unit_key",
    "legal_entity",
    "process",
    "process_hash",
    "level",
    "level_name",
    "currency",
    "due_date",
    "language",
    "time_zone",
    "template",
    "channels",
    "approval",
    "attach_invoices",
    "do_not_send",
    "recipients",
    "address",
    "principal_minor",
    "credits_minor",
    "interest_minor",
    "fees_minor",
    "please_pay_minor",
    "hold_reason",
    "draft_key",
]
DETAILS = [column.name for column in statement_details.columns if column.name not in ("statement_id", "position")]
_DECIDED = [column.name for column in decisions.columns if column.name not in ("statement_id", "run_id")]
_DEFAULTS = {"attach_invoices": "true", "do_not_send": "false", "recipients": "'{}'", "address": "'{}'"}
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
            """
            create table hashed as
            with lines as (
                select draft_key, string_agg(cast(to_json(details) as varchar), '|' order by position) as lines
                from details group by draft_key
            )
            select proposed.*,
                sha256(concat_ws('#', cast(to_json(proposed) as varchar), lines.lines)) as proposal_sha256
            from proposed left join lines on lines.draft_key = proposed.draft_key
            """
        )

    def close(self) -> None:
        self._con.close()

    def compare(self, engine: Engine) -> Comparison:
        """Match the proposals with the open drafts of the ledger and give the new ones an id."""
        self._load_drafts(engine)
        self._con.execute(
            """
            create or replace table matched as
            select hashed.*, drafts.statement_id as known_id, drafts.has_edits,
                case when drafts.statement_id is null then 'new'
                    when drafts.proposal_sha256 is distinct from hashed.proposal_sha256 then 'changed'
                    else 'unchanged' end as fate
            from hashed left join drafts on drafts.draft_key = hashed.draft_key
            """
        )
        counts: dict[str, int] = dict(self._con.execute("select fate, count(*) from matched group by fate").fetchall())
        ids = new_ids(counts.get("new", 0))
        self._con.execute("create or replace table fresh (seq bigint, statement_id varchar)")
        if ids:
            import pyarrow

            self._con.register("ids", pyarrow.table({"seq": range(len(ids)), "statement_id": ids}))
            self._con.execute("insert into fresh from ids").fetchall()
            self._con.unregister("ids")
        self._con.execute(
            """
            create or replace table numbered as
            select matched.*, coalesce(known_id, fresh.statement_id) as statement_id,
                row_number() over (partition by fate order by matched.draft_key) - 1 as seq_in_fate
            from (select *, row_number() over (partition by fate order by draft_key) - 1 as seq from matched) as matched
            left join fresh on matched.fate = 'new' and fresh.seq = matched.seq
            """
        )
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
        self._prepare_lines()
        [(total,)] = self._con.execute("select count(*) from numbered where fate = ?", [fate]).fetchall()
        for start in range(0, total, size):
            window = {"fate": fate, "first": start, "last": start + size - 1}
            mine = "where fate = $fate and seq_in_fate between $first and $last"
            rows = self._con.execute(
                f"select {chosen} from numbered {mine} order by seq_in_fate", constants | window
            ).fetchall()
            details = self._con.execute(
                f"select * exclude (fate, seq_in_fate) from detail_rows {mine} order by seq_in_fate, position", window
            ).fetchall()
            judged = self._con.execute(
                f"select * exclude (fate, seq_in_fate) from decision_rows {mine} order by seq_in_fate", window
            ).fetchall()
            judged = [(row[0], run_id, *row[1:]) for row in judged]
            yield rows, details, judged

    def _prepare_lines(self) -> None:
        """Details and decisions beside their statement's place, sorted, so that a chunk is one stretch of each."""
        lines = ", ".join(f"details.{name}" for name in ("position", *DETAILS))
        decided = ", ".join(f"d.{name}" for name in _DECIDED)
        place = "n.fate, n.seq_in_fate, n.statement_id"
        self._con.execute(
            f"create or replace table detail_rows as select {place}, {lines} from numbered as n "
            "inner join details on details.draft_key = n.draft_key "
            "where n.fate <> 'unchanged' order by n.fate, n.seq_in_fate, details.position"
        )
        self._con.execute(
            f"create or replace table decision_rows as select {place}, {decided} from numbered as n "
            f"inner join (select {self._decisions()} from arrow_decisions where draft_key is not null) as d "
            "on d.draft_key = n.draft_key where n.fate <> 'unchanged' order by n.fate, n.seq_in_fate"
        )

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
            "where hold_reason is not null order by draft_key"
        ).fetchall()

    # -- shapes ---------------------------------------------------------------------------------------------------

    def _load_drafts(self, engine: Engine) -> None:
        import pyarrow

        s = statements.c
        columns = (
            s.draft_key, s.statement_id, s.proposal_sha256, s.hand_edits, s.kind, s.process, s.level, s.account_key,
            s.account_id, s.run_id, s.unit_key,
        )  # fmt: skip
        with reading(engine) as connection:
            found = connection.execute(select(*columns).where(s.status == "draft")).all()
        names = ("draft_key", "statement_id", "proposal_sha256", "kind", "process", "account_key", "account_id",
                 "run_id", "unit_key")  # fmt: skip
        table = {name: pyarrow.array([getattr(row, name) for row in found], pyarrow.string()) for name in names}
        table["level"] = pyarrow.array([row.level for row in found], pyarrow.int64())
        table["has_edits"] = pyarrow.array([bool(row.hand_edits) for row in found], pyarrow.bool_())
        self._con.register("arrow_drafts", pyarrow.table(table))
        self._con.execute("create or replace table drafts as from arrow_drafts").fetchall()

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
