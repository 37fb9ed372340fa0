"""Triggers that keep the legal record: append-only tables, closed statements, outcomes of sends; on both databases."""

import re
from collections.abc import Collection, Iterable, Iterator

from sqlalchemy import Connection, text

from dunning_pipeline.ledger.schema import APPEND_ONLY, statements

# What may still change on a statement that is no draft; every other column is the legal record.
STATEMENT_MAY_CHANGE = frozenset(
    [
        "status",
        "superseded_by",
        "void_reason",
        "voided_at",
        "voided_by",
        "row_version",
        "updated_at",
        "updated_by",
        "pdf_sha256",
    ]
)
STATEMENT_TRANSITIONS = (("closed", "voided"), ("closed", "superseded"))
# What identifies a send and its message; the outcome `sent` is final.
SEND_NEVER_CHANGES = ("send_key", "kind", "channel", "statement_id", "account_key", "campaign", "occurrence")
# Details follow their statement: verb → the row that says whose they are.
_DETAILS_VERBS = {"insert": "new", "update": "old", "delete": "old"}
_NAME = re.compile(r"create trigger (\w+)")
_DETAILS_KEPT = "the details of a closed statement are immutable"


def guard_statements(dialect: str) -> list[str]:
    """The DDL of all guards for "sqlite" or "postgresql", in the order to execute it."""
    rules = list(_rules("is not" if dialect == "sqlite" else "is distinct from"))
    make = _sqlite_trigger if dialect == "sqlite" else _postgres_trigger
    ddl = [
        sql for name, table, verb, condition, message in rules for sql in make(name, table, verb, condition, message)
    ]
    if dialect == "sqlite":
        return ddl + [sql for rule in _details_rules() for sql in _sqlite_trigger(*rule)]
    ddl += [sql for verb in _DETAILS_VERBS for sql in _postgres_details_trigger(verb)]
    return ddl + [sql for table in _guarded() for sql in _no_truncate(table)]


def drop_statements(dialect: str, tables: Collection[str]) -> list[str]:
    """The DDL that takes all guards off again, for a migration; `tables` are those that are there."""
    rules = [*_rules("is not"), *_details_rules()]
    names = [(name, table) for name, table, *_ in rules if table in tables]
    if dialect == "sqlite":
        return [f"drop trigger if exists guard_{name}" for name, _ in names]
    return [f"drop trigger if exists guard_{name} on {table}" for name, table in names] + [
        f"drop trigger if exists guard_{table}_truncate on {table}" for table in _guarded() if table in tables
    ]


def missing_guards(connection: Connection) -> list[str]:
    """Names of the triggers that should be there and are not, or are switched off."""
    if connection.dialect.name == "sqlite":
        there = "select name from sqlite_master where type = 'trigger'"
    else:
        there = "select tgname from pg_trigger where tgenabled <> 'D' and pg_table_is_visible(tgrelid)"
    found = set(connection.scalars(text(there)))
    wanted = (_NAME.match(statement) for statement in guard_statements(connection.dialect.name))
    return [name[1] for name in wanted if name is not None and name[1] not in found]


def _guarded() -> tuple[str, ...]:
    return (*APPEND_ONLY, "statements", "statement_details", "sends")


def _rules(differs: str) -> Iterator[tuple[str, str, str, str, str]]:
    for table in APPEND_ONLY:
        yield f"{table}_keep", table, "update", "true", f"{table} is append-only: rows are never changed"
        yield f"{table}_stay", table, "delete", "true", f"{table} is append-only: rows are never deleted"
    record = [c.name for c in statements.columns if c.name not in STATEMENT_MAY_CHANGE]
    moves = " or ".join(f"(old.status = '{a}' and new.status = '{b}')" for a, b in STATEMENT_TRANSITIONS)
    forbidden = (
        f"(old.status {differs} new.status and not ({moves}))"
        f" or (old.pdf_sha256 is not null and {_any(['pdf_sha256'], differs)}) or {_any(record, differs)}"
    )
    yield (
        "statements_closed",
        "statements",
        "update",
        f"old.status <> 'draft' and ({forbidden})",
        "a closed statement is immutable: void it and make a new one",
    )
    yield "statements_stay", "statements", "delete", "true", "statements are never removed; drafts become deleted"
    yield (
        "sends_outcome",
        "sends",
        "update",
        f"{_any(SEND_NEVER_CHANGES, differs)} or (old.status = 'sent' and new.status <> 'sent')",
        "a send keeps its identity, and sent is final",
    )
    yield "sends_stay", "sends", "delete", "true", "sends are never deleted"


def _details_rules() -> Iterator[tuple[str, str, str, str, str]]:
    for verb, row in _DETAILS_VERBS.items():
        closed = f"(select s.status from statements s where s.statement_id = {row}.statement_id) <> 'draft'"
        yield f"statement_details_{verb}", "statement_details", verb, closed, _DETAILS_KEPT


def _any(columns: Iterable[str], differs: str) -> str:
    return " or ".join(f"new.{name} {differs} old.{name}" for name in columns)


def _sqlite_trigger(name: str, table: str, verb: str, condition: str, message: str) -> list[str]:
    return [
        f"create trigger guard_{name} before {verb} on {table} for each row when {condition} "
        f"begin select raise(abort, '{message}'); end"
    ]


def _postgres_trigger(name: str, table: str, verb: str, condition: str, message: str) -> list[str]:
    back = "old" if verb == "delete" else "new"
    return [
        f"create or replace function guard_{name}() returns trigger language plpgsql as $guard$ begin "
        f"if {condition} then raise exception '{message}' using errcode = 'restrict_violation'; end if; "
        f"return {back}; end $guard$",
        f"create trigger guard_{name} before {verb} on {table} for each row execute function guard_{name}()",
    ]


def _postgres_details_trigger(verb: str) -> list[str]:
    """Once per statement, not per row: thousands of details come in one COPY and are looked at in one join."""
    name = f"guard_statement_details_{verb}"
    return [
        f"create or replace function {name}() returns trigger language plpgsql as $guard$ begin "
        "if exists (select 1 from touched t join statements s on s.statement_id = t.statement_id "
        f"where s.status <> 'draft') then raise exception '{_DETAILS_KEPT}' using errcode = 'restrict_violation'; "
        "end if; return null; end $guard$",
        f"create trigger {name} after {verb} on statement_details "
        f"referencing {_DETAILS_VERBS[verb]} table as touched for each statement execute function {name}()",
    ]


def _no_truncate(table: str) -> list[str]:
    return [
        f"create or replace function guard_{table}_truncate() returns trigger language plpgsql as $guard$ begin "
        f"raise exception '{table} is never truncated' using errcode = 'restrict_violation'; end $guard$",
        f"create trigger guard_{table}_truncate before truncate on {table} "
        f"for each statement execute function guard_{table}_truncate()",
    ]
