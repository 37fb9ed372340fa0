"""Writes the declarations as tables `policy.*`, so that the decision in SQL reads rules as rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import orjson
from pydantic import ValidationError

from dunning_pipeline.dunning.conditions import render_condition
from dunning_pipeline.dunning.processes import Amounts, DeclaredProcess, IgnoreBelow, Process, load_processes
from dunning_pipeline.law.packs import load_laws
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.money import known_currencies
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.shapes import quoted, table_exists

PERCENT_UNIT = 10_000  # per cent are stored as integers of a ten-thousandth: 9.12 % = 91200
FIRST_YEAR, LAST_YEAR = 2010, 2040  # of the deadline calendar
_FAR = date(9999, 12, 31)

TABLES: Mapping[str, str] = {
    "processes": """
        process_hash varchar, process varchar, is_current boolean, unit varchar, grouping varchar, escalation varchar,
        netting varchar, grace_days integer, minimum_days integer, min_interval_days integer,
        percent_of_open decimal(9,4), charges_only varchar, cc_role boolean, cc_account boolean, is_frozen boolean,
        migrate varchar, max_promises integer, party varchar, is_plan_driven boolean""",
    "process_levels": """
        process_hash varchar, process varchar, level integer, name varchar, days integer, end_of_month boolean,
        anchor varchar, is_notice boolean, previous_level integer, template varchar, due_in_days integer,
        channels varchar, approval varchar, attach_invoices boolean, do_not_send boolean,
        agency_handover boolean, condition varchar,
        segment varchar, percent_of_open decimal(9,4), has_fee boolean, fee_percent_e4 bigint, fee_per varchar,
        interest_kind varchar, interest_law varchar, interest_party varchar, interest_percent_e4 bigint,
        day_count varchar, compensation_law varchar""",
    "amounts": """
        process_hash varchar, level integer, kind varchar, currency varchar, amount decimal(19,4), position integer""",
    "currencies": "currency varchar, minor_units integer, e4_per_minor bigint",
    "laws": "law varchar, basis varchar, source varchar, rule varchar, known_until date",
    "law_margins": "law varchar, party varchar, margin_e4 bigint",
    "law_rates": "law varchar, valid_from date, valid_to date, percent_e4 bigint, source varchar",
    "lump_sums": "law varchar, party varchar, from_amount decimal(19,4), currency varchar, amount decimal(19,4)",
    "deadlines": "day date, deadline date",
    "company": """
        name varchar, country varchar, default_process varchar, default_language varchar, time_zone varchar,
        default_party varchar, consent_for_dunning varchar""",
    "versions": "process_hash varchar, process varchar, content varchar",
    "segment_members": "segment varchar, account_key varchar",
}


def load_policy_tables(
    con: duckdb.DuckDBPyConnection,
    ws: Workspace,
    *,
    processes: Mapping[str, DeclaredProcess] | None = None,
    catalogs: Mapping[str, str] | None = None,
    rules_only: bool = False,
) -> None:
    """Replace every table of `policy` in `con` by what the workspace declares now (or by `processes`, by name).

    Processes: the current files and every version that `ops.process_versions` holds (running cases keep theirs).
    Members of the segments that levels name come from the published `segments.*` and `unified.account_links`, where
    `con` has them; `catalogs` says in which attached database. `rules_only` leaves the law's
    rates and the calendar of deadlines empty: who only asks for reasons computes no interest and dates no letter.
    Raises InvalidDeclaration.
    """
    rows = {name: list(found) for name, found in _rows(con, ws, processes).items()}
    if not rules_only:
        rows |= {name: list(found) for name, found in _law_rows(ws).items()}
    con.execute("create schema if not exists policy")
    for name, columns in TABLES.items():
        con.execute(f"create or replace table policy.{name} ({columns})")
        if rows.get(name):
            _insert(con, name, rows[name])
    if not rules_only:
        _load_deadlines(con, ws)
    _load_segment_members(con, catalogs or {})


def model_variables(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Jinja variables of the decision's models: the levels' conditions as SQL, read from `policy.process_levels`."""
    found = con.execute(
        "select process_hash, level, condition from policy.process_levels where condition <> '' order by all"
    ).fetchall()
    return {
        "level_conditions": [
            {"process_hash": key, "level": level, "condition": render_condition(text)} for key, level, text in found
        ]
    }


def _rows(
    con: duckdb.DuckDBPyConnection, ws: Workspace, processes: Mapping[str, DeclaredProcess] | None
) -> dict[str, Iterable[Sequence[Any]]]:
    versions = list(_versions(con, load_processes(ws) if processes is None else processes))
    company = ws.company
    return {
        "processes": (_process_row(*version) for version in versions),
        "process_levels": (row for key, process, _ in versions for row in _level_rows(key, process)),
        "versions": (
            (key, process.process, canonical_json(process.model_dump(mode="json"))) for key, process, _ in versions
        ),
        "amounts": (row for key, process, _ in versions for row in _amount_rows(key, process)),
        "currencies": ((code, digits, 10 ** (4 - digits)) for code, digits in known_currencies().items()),
        "company": [
            (company.name, company.country, company.default_process, company.default_language, company.time_zone,
             company.default_party, company.consent_for_dunning)
        ],
    }  # fmt: skip


def _law_rows(ws: Workspace) -> dict[str, Iterable[Sequence[Any]]]:
    laws = [declared.pack for declared in load_laws(ws).values()]
    return {
        "laws": ((law.law, law.basis, law.source, law.rule, law.known_until) for law in laws),
        "law_margins": ((law.law, party, _e4(margin)) for law in laws for party, margin in law.margins.items()),
        "law_rates": (
            (law.law, rate.valid_from, following, _e4(rate.percent), rate.source or law.source)
            for law in laws
            for rate, following in zip(law.rates, [*(r.valid_from for r in law.rates[1:]), _FAR], strict=False)
        ),
        "lump_sums": (
            (law.law, lump.party, lump.valid_from_amount, currency, amount)
            for law in laws
            for lump in law.compensation
            for currency, amount in lump.amount.items()
        ),
    }


def _versions(
    con: duckdb.DuckDBPyConnection, processes: Mapping[str, DeclaredProcess]
) -> Iterator[tuple[str, Process, bool]]:
    current = {declared.process_hash: declared.process for declared in processes.values()}
    yield from ((key, process, True) for key, process in current.items())
    if not table_exists(con, "ops", "process_versions"):
        return
    for key, content in con.execute("select process_hash, content from ops.process_versions order by all").fetchall():
        if key in current:
            continue
        try:
            yield key, Process.model_validate(orjson.loads(content)), False
        except ValidationError:
            continue  # written by a later release: its cases are held as process_unknown


def _process_row(key: str, process: Process, is_current: bool) -> Sequence[Any]:
    charges = process.charges_only
    return (
        key, process.process, is_current, process.unit, process.grouping, process.escalation, process.netting,
        process.grace_days, process.minimum_days, process.min_interval_days, process.percent_of_open,
        "ignore_below" if isinstance(charges, IgnoreBelow) else charges, "role" in process.cc,
        "account_ccs" in process.cc, process.freeze, process.migrate, process.max_promises, process.party,
        any(level.when.after == "plan_due_date" for level in process.levels),
    )  # fmt: skip


def _level_rows(key: str, process: Process) -> Iterator[Sequence[Any]]:
    previous = 0  # the level that must have been reached before this one in a sequence
    for level in process.levels:
        fee, interest = level.fee, level.interest
        yield (
            key, process.process, level.level, level.name or f"Level {level.level}", level.when.days,
            level.when.end_of_month, level.when.after, level.is_notice, previous, level.template, level.due_in_days,
            orjson.dumps(level.channels).decode(), level.approval, level.attach_invoices, level.do_not_send,
            level.agency_handover, level.condition.strip(), level.segment, level.percent_of_open, fee is not None,
            _e4(fee.percent) if fee and fee.percent is not None else None, fee.per if fee else None,
            *_interest(level.interest), interest.counted if interest else None,
            level.compensation.law if level.compensation else None,
        )  # fmt: skip
        if not level.is_notice:
            previous = level.level


def _interest(interest: Any) -> tuple[Any, ...]:
    if interest is None:
        return (None, None, None, None)
    if interest.law is not None:
        return ("law", interest.law, interest.party, None)
    if interest.annual_percent is not None:
        return ("annual", None, interest.party, _e4(interest.annual_percent))
    return ("monthly", None, interest.party, _e4(interest.monthly_percent))


def _amount_rows(key: str, process: Process) -> Iterator[Sequence[Any]]:
    def rows(level: int, kind: str, amounts: Amounts) -> Iterator[Sequence[Any]]:
        for place, (currency, amount) in enumerate(amounts.items()):
            yield key, level, kind, currency, amount, place

    yield from rows(0, "tolerance", process.tolerance)
    yield from rows(0, "minimum", process.minimum)
    if isinstance(process.charges_only, IgnoreBelow):
        yield from rows(0, "ignore_below", process.charges_only.ignore_below)
    for level in process.levels:
        yield from rows(level.level, "minimum", level.minimum)
        yield from rows(level.level, "fee", level.fee.amounts if level.fee else {})


def _insert(con: duckdb.DuckDBPyConnection, name: str, rows: list[Sequence[Any]]) -> None:
    row = f"({', '.join('?' * len(rows[0]))})"
    con.execute(
        f"insert into policy.{name} values {', '.join([row] * len(rows))}",
        [value for values in rows for value in values],
    )


def _load_deadlines(con: duckdb.DuckDBPyConnection, ws: Workspace) -> None:
    """Days on which a deadline may not end, each with the next working day."""
    if ws.company.holidays is None:
        return
    con.execute(
        """
        insert into policy.deadlines
        with days as (
            select
                day,
                isodow(day) >= 6 or list_contains($holidays, cast(day as varchar)) as is_free
            from (select unnest(generate_series($first, $last, interval 1 day))::date as day)
        ),
        dated as (
            select
                day,
                is_free,
                min(case when not is_free then day end) over (
                    order by day rows between 1 following and unbounded following
                ) as deadline
            from days
        )
        select day, deadline from dated where is_free and deadline is not null order by day
        """,
        {
            "holidays": _holidays(ws.company.holidays),
            "first": date(FIRST_YEAR, 1, 1),
            "last": date(LAST_YEAR + 1, 1, 31),
        },
    )


@cache
def _holidays(calendar: str) -> list[str]:
    """The public holidays of a calendar such as DE or DE-BY, as ISO dates."""
    import holidays

    country, _, subdivision = calendar.partition("-")
    years = range(FIRST_YEAR, LAST_YEAR + 2)
    return [day.isoformat() for day in holidays.country_holidays(country, subdiv=subdivision or None, years=years)]


def _load_segment_members(con: duckdb.DuckDBPyConnection, catalogs: Mapping[str, str]) -> None:
    found = con.execute("select distinct segment from policy.process_levels where segment is not null").fetchall()
    if not found or not table_exists(con, "unified", "account_links", catalogs.get("unified")):
        return
    for (segment,) in found:
        if table_exists(con, "segments", segment, catalogs.get("segments")):
            con.execute(
                f"""
                insert into policy.segment_members
                select ?, links.account_key
                from {_place(catalogs, "segments", segment)} as members
                inner join {_place(catalogs, "unified", "account_links")} as links
                    on links.unified_account_id = members.unified_account_id
                """,
                [segment],
            )


def _place(catalogs: Mapping[str, str], schema: str, table: str) -> str:
    return ".".join(quoted(part) for part in (catalogs.get(schema), schema, table) if part)


def _e4(percent: Decimal) -> int:
    return int(Decimal(percent) * PERCENT_UNIT)
