"""Keeps the key by which the ledger knows a record, whatever its source calls it now; asks where that is unclear.

The keys are put back where the sources' rows come in (`mapped`), so everything behind it, from identity to the gate,
sees one account and one invoice for the whole of their lives, and the ledger stays as it was written.
"""

import hashlib
from collections.abc import Iterable
from datetime import date, datetime

import duckdb
from sqlalchemy import Connection, update

from dunning_pipeline.data_streams.mapped import RENAMED, refresh_mapped_views
from dunning_pipeline.data_streams.renaming.detecting import Question, detect
from dunning_pipeline.data_streams.renaming.known import OBJECTS
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import chunks, insert_many, insert_unless_there
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.export import export_to_warehouse
from dunning_pipeline.ledger.findings import raise_finding, resolve_findings_of
from dunning_pipeline.ledger.identifiers import new_ids
from dunning_pipeline.ledger.naming import FINDING, FORMER, QUESTION
from dunning_pipeline.ledger.schema import blocks, renamed_keys
from dunning_pipeline.ledger.types import instant_text
from dunning_pipeline.settings.workspace import Workspace

ACTOR = "build"
# What the sources call it now → the key that the ledger has, as it was said last.
_SAID = """
    select kind, new_key, old_key, renamed_id
    from ops.renamed_keys
    qualify row_number() over (partition by kind, new_key order by renamed_id desc) = 1 and old_key <> new_key
"""


def follow_renamed(con: duckdb.DuckDBPyConnection, ws: Workspace, *, run_date: date, now: datetime) -> None:
    """Give every record of `mapped` the key by which the ledger knows it; `ops` and `policy` are there.

    New names that are certain are recorded. What is not is held (a pause on it) with a finding, until a person says
    what it is (`dunning renamed`), or the question is gone.
    """
    both = _apply(con, ws)
    found = detect(con)
    if found.renamed:
        _record(ws, found.renamed, now)
        export_to_warehouse(con, ws, tables={"renamed_keys"})
        both = _apply(con, ws)
    if _ask(con, ws, [*both, *found.questions], run_date, now):
        export_to_warehouse(con, ws, tables={"blocks"})


def _apply(con: duckdb.DuckDBPyConnection, ws: Workspace) -> list[Question]:
    """Fill the table of names that `mapped` follows, and make it follow; what cannot be followed is a question."""
    con.execute(f"create table if not exists {RENAMED} (kind varchar, new_key varchar, old_key varchar)")
    [(followed, said)] = con.execute(
        f"select (select count(*) from {RENAMED}), (select count(*) from ops.renamed_keys)"
    ).fetchall()
    if not followed and not said:
        return []
    con.execute(f"delete from {RENAMED}")
    refresh_mapped_views(con, ws)
    present = " union all ".join(f"select '{kind}', {kind}_key from mapped.{name}" for kind, name in OBJECTS.items())
    con.execute(f"create or replace temp table renaming_present (kind, key) as {present}")
    con.execute(f"""
        create or replace temp table renaming_said as
        select said.* from ({_SAID}) as said
        where (kind, new_key) in (select (kind, key) from renaming_present)
    """)
    con.execute(f"""
        insert into {RENAMED}
        select kind, new_key, old_key from renaming_said
        qualify row_number() over (partition by kind, old_key order by renamed_id desc) = 1
    """)
    # whose own name is there itself, and names nothing else, keeps it: two records under one key are none
    taken = f"""
        delete from {RENAMED} where (kind, old_key) in (select (kind, key) from renaming_present)
            and (kind, old_key) not in (select (kind, new_key) from {RENAMED}) returning 1
    """
    while con.execute(taken).fetchall():
        pass
    refresh_mapped_views(con, ws)
    unheeded = con.execute(f"""
        select kind, new_key, old_key from renaming_said
        where (kind, new_key) not in (select (kind, new_key) from {RENAMED})
        order by all
    """).fetchall()
    return [Question(kind, new, old, f"{old} and its other name are both there") for kind, new, old in unheeded]


def _record(ws: Workspace, renamed: list[tuple[str, str, str]], now: datetime) -> None:
    ids, at = new_ids(len(renamed)), instant_text(now)
    reason = "its source calls it something else now"
    rows = ((key, *names, reason, at, ACTOR) for key, names in zip(ids, renamed, strict=True))
    insert_many(open_ledger(ws), renamed_keys, renamed_keys.columns.keys(), rows)
    with open_ledger(ws).begin() as connection:
        counts = {kind: sum(1 for one, *_ in renamed if one == kind) for kind in OBJECTS}
        audit.record(
            connection, actor=ACTOR, action="renamed.follow", object_kind="renamed_keys", object_id=ids[0],
            after=counts, reason=reason, at=now,
        )  # fmt: skip


def _ask(
    con: duckdb.DuckDBPyConnection, ws: Workspace, questions: Iterable[Question], run_date: date, now: datetime
) -> bool:
    """Hold what is asked about and let go what is not any more; whether anything changed. A person's word is final."""
    asked = {_block_id(question): question for question in questions}
    held = {
        block_id: (scope, key, ended_by)
        for block_id, scope, key, ended_by in con.execute(
            f"select block_id, scope, target_key, ended_by from ops.blocks where starts_with(block_id, '{QUESTION}')"
        ).fetchall()
    }
    standing = {block_id for block_id, (*_, ended_by) in held.items() if ended_by is None}
    over = standing - asked.keys()
    # what is held already stays as it was told; what a person let go stays so
    fresh = {key: one for key, one in asked.items() if key not in held or held[key][2] == ACTOR}
    for part in chunks(sorted(over), 500):
        with open_ledger(ws).begin() as connection:
            for block_id in part:
                _let_go(connection, block_id, held[block_id][1], now)
    for some in chunks(fresh.items(), 500):
        with open_ledger(ws).begin() as connection:
            for block_id, question in some:
                _hold(connection, block_id, question, run_date, now)
    return bool(over or fresh)


def _block_id(question: Question) -> str:
    names = hashlib.sha256(f"{question.key}|{question.other}".encode()).hexdigest()[:16]
    return f"{QUESTION}{question.kind}:{names}"


def _hold(connection: Connection, block_id: str, question: Question, run_date: date, now: datetime) -> None:
    kind, key = question.kind, question.key
    row = {
        "block_id": block_id,
        "scope": kind,
        "target_key": key,
        "kind": "pause",
        "reason": question.why if question.is_reused else FORMER.format(question.other) + question.why,
        "valid_from": run_date,
        "created_at": now,
        "created_by": ACTOR,
    }
    if not insert_unless_there(connection, blocks, [row]):
        again = update(blocks).where(blocks.c.block_id == block_id, blocks.c.ended_at.is_not(None))
        connection.execute(again.values(ended_at=None, ended_by=None, valid_from=run_date))
    command = f"dunning renamed --{kind.replace('_', '-')} {key}"
    words = f"`{command} --new`" if question.is_reused else f"`{command} --was {question.other}` / `--new`"
    what = f"{key} is another invoice now" if question.is_reused else f"{key} may be {question.other} under a new name"
    raise_finding(
        connection,
        kind=FINDING,
        object_kind=kind,
        object_id=key,
        severity="error",
        message=f"{what}: {question.why}; it is held until somebody says which: {words}",
        at=now,
    )


def _let_go(connection: Connection, block_id: str, key: str, now: datetime) -> None:
    over = update(blocks).where(blocks.c.block_id == block_id, blocks.c.ended_at.is_(None))
    connection.execute(over.values(ended_at=now, ended_by=ACTOR))
    resolve_findings_of(connection, kind=FINDING, object_id=key, by=ACTOR, at=now)
