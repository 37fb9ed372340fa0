"""Closes drafts: checks them against the facts of the moment, numbers them, posts charges and freezes their words.

The only irreversible step. Each chunk is one transaction; closing again is a no-op.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Engine

from dunning_pipeline.errors import NotThere
from dunning_pipeline.ledger.bulk import chunks, read_many, uncollected, update_stored
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.reading import details_of
from dunning_pipeline.ledger.schema import statements
from dunning_pipeline.ledger.types import canonical_json, instant_text
from dunning_pipeline.letters.document import last_day, statement_document
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.booking.numbering import next_numbers
from dunning_pipeline.statements.booking.posting import post_charges, settled_since
from dunning_pipeline.statements.booking.superseding import in_doubt, supersede_unsent
from dunning_pipeline.statements.drafting.approving import lacks_second_person
from dunning_pipeline.statements.drafting.drafts import audit_many
from dunning_pipeline.statements.graphs import Graphs
from dunning_pipeline.statements.levels import moved_since, record_reached
from dunning_pipeline.statements.printing import file_pdfs, letter_version
from dunning_pipeline.statements.rechecking import Standings, change_of, standings_of

Progress = Callable[[str, int, int], None]
Row = dict[str, Any]
CHUNK_STATEMENTS = 1_000
_OF_DRAFTS = ("statement_id", "number", "status", "dunning_date", "account_id", "account_key")
# What closing asks of a draft: the words of its document, and what decides whether it may be closed. No other column
# is read, because decoding JSON and instants of a hundred thousand rows is what closing would spend its time on.
_COLUMNS = (
    "statement_id", "number", "kind", "run_id", "dunning_date", "account_key", "account_id", "account_name",
    "bill_group_key", "bill_group_id", "unit_key", "legal_entity", "process", "level", "level_name", "currency",
    "due_date", "language", "time_zone", "template", "do_not_send", "recipients", "address", "texts",
    "principal_minor", "credits_minor", "open_credits_minor", "interest_minor", "fees_minor", "please_pay_minor",
    "hold_reason", "row_version",
)  # fmt: skip

_SETTLED = "an earlier charge that it claims was paid or waived since the run; run again"
_IN_DOUBT = "a reminder of an invoice that it lists may have left; settle it (`dunning send resolve`) and run again"
_MOVED = "an invoice that it lists was reminded of, or a reminder came back, since the run; run again"
_FROZEN = ("number", "content", "content_sha256", "letter_version")
_ORDER = itemgetter("dunning_date", "account_id", "statement_id")


@dataclass
class CloseReport:
    """What closing did, by statement id; `refused` says why, in a sentence for a person."""

    closed: list[str] = field(default_factory=list)
    already_closed: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def close(
    ws: Workspace,
    ids: Sequence[str],
    *,
    now: datetime,
    actor: str,
    progress: Progress | None = None,
    pdf: bool = True,
) -> CloseReport:
    """Close the drafts with these ids (or numbers); one that may not be closed is refused and stops no other.

    `pdf` files their letters below .dunning/statements/ too; without it they are made when somebody asks for them.
    Raises NotThere for an id that names no statement.
    """
    engine = open_ledger(ws)
    report = CloseReport()
    drafts = _drafts(engine, ids, report)
    checked = 0
    with Graphs(ws) as graphs:
        for chunk in chunks(drafts, 50 * CHUNK_STATEMENTS):
            with uncollected():
                standings = _standings(ws, chunk, now=now)
            for part in chunks(chunk, CHUNK_STATEMENTS):
                with uncollected(), engine.begin() as connection:
                    one = _Closing(connection, ws, graphs, standings, now=now, actor=actor)
                    one.close([row["statement_id"] for row in part], report)
                checked += len(part)
                if progress is not None:
                    progress("closing statements", checked, len(drafts))
    if pdf:
        file_pdfs(ws, report.closed, now=now, progress=progress)
    return report


def _drafts(engine: Engine, ids: Sequence[str], report: CloseReport) -> list[Row]:
    """The drafts among these, in the order in which they get their numbers."""
    with reading(engine) as connection:
        found = read_many(connection, statements, _OF_DRAFTS, key="statement_id", values=ids)
        known = {row["statement_id"] for row in found}
        numbers = [key for key in ids if key not in known]
        found += [
            row
            for row in read_many(connection, statements, _OF_DRAFTS, key="number", values=numbers)
            if row["statement_id"] not in known
        ]
    named = known | {row["number"] for row in found}
    if missing := [key for key in numbers if key not in named]:
        raise NotThere("there is no such statement", value=missing[0])
    for row in found:
        if row["status"] == "closed":
            report.already_closed.append(row["statement_id"])
        elif row["status"] != "draft":
            report.refused[row["statement_id"]] = f"the statement is {row['status']}"
    return sorted((row for row in found if row["status"] == "draft"), key=_ORDER)


def _standings(ws: Workspace, drafts: Sequence[Row], *, now: datetime) -> dict[date, Standings]:
    """Dunning date → how items and credits of the accounts of its drafts stand at this moment."""
    today = now.astimezone(ws.company.zone).date()
    found = {}
    for day in sorted({row["dunning_date"] for row in drafts}):
        accounts = {row["account_key"] for row in drafts if row["dunning_date"] == day}
        found[day] = standings_of(ws, accounts, dates={day, max(day, today)})
    return found


class _Closing:
    """One chunk in one transaction."""

    def __init__(
        self,
        connection: Connection,
        ws: Workspace,
        graphs: Graphs,
        standings: Mapping[date, Standings],
        *,
        now: datetime,
        actor: str,
    ) -> None:
        self.connection, self.ws, self.graphs, self.standings = connection, ws, graphs, standings
        self.now, self.actor = now, actor
        self.today = now.astimezone(ws.company.zone).date()

    def close(self, ids: Sequence[str], report: CloseReport) -> None:
        rows, details = self._locked(ids)
        wanted = []
        outdated = dict.fromkeys(settled_since(self.connection, rows, details), _SETTLED)
        outdated |= dict.fromkeys(moved_since(self.connection, rows, details), _MOVED)
        outdated |= dict.fromkeys(in_doubt(self.connection, rows, details), _IN_DOUBT)
        for row in rows:
            reason = outdated.get(row["statement_id"]) or self._refusal(row, details.get(row["statement_id"], []))
            if reason is None:
                wanted.append(row)
            else:
                report.refused[row["statement_id"]] = reason
        self._number(wanted)
        self._pin_letters(wanted)
        self._freeze(wanted, details)
        supersede_unsent(self.connection, wanted, details, now=self.now, actor=self.actor)
        self._write(wanted)
        pairs = [(row, details.get(row["statement_id"], [])) for row in wanted]
        post_charges(self.connection, pairs, actor=self.actor, now=self.now)
        closed = [row["statement_id"] for row in wanted]
        self._after(wanted)
        audit_many(self.connection, closed, action="statement.close", actor=self.actor, now=self.now)
        report.closed += closed

    def _locked(self, ids: Sequence[str]) -> tuple[list[Row], dict[str, list[Row]]]:
        rows = read_many(
            self.connection,
            statements,
            _COLUMNS,
            key="statement_id",
            values=ids,
            where="(status = 'draft') is true",
            order_by="statement_id",  # of the locks
            lock=True,
        )
        return sorted(rows, key=_ORDER), details_of(self.connection, [row["statement_id"] for row in rows])

    def _refusal(self, row: Row, details: Sequence[Row]) -> str | None:
        if row["hold_reason"]:
            return f"it is held: {row['hold_reason']}"
        if row["please_pay_minor"] <= 0:
            return "there is nothing to pay (the total is not above 0)"
        if sum(detail["amount_minor"] for detail in details) != row["please_pay_minor"]:
            return "the sum of its details is not its total; run again"
        # what has been listed since the check is not in `standings`, so it counts as changed
        if (changed := change_of(row, details, self.standings[row["dunning_date"]])) is not None:
            return changed
        last = last_day(row, [detail for detail in details if detail["type"] == "invoice"])
        if last is not None and last < self.today:
            return f"it asks to pay by {last.isoformat()}, which has passed since the run; run again, or set a new date"
        return lacks_second_person(self.connection, row, self.ws.company, actor=self.actor, now=self.now)

    def _number(self, rows: Sequence[Row]) -> None:
        series: dict[tuple[str, int], list[Row]] = {}
        for row in rows:
            series.setdefault((row["kind"], row["dunning_date"].year), []).append(row)
        # in a fixed order, so that two closings never wait for each other crosswise
        for (kind, year), members in sorted(series.items()):
            numbers = next_numbers(self.connection, self.ws.company, kind=kind, year=year, count=len(members))
            for row, number in zip(members, numbers, strict=True):
                row["number"] = number

    def _pin_letters(self, rows: Sequence[Row]) -> None:
        """The wording of today is the wording of the letter, whenever it is printed."""
        known: dict[tuple[str, str], str | None] = {}
        for row in rows:
            key = (row["template"], row["language"])
            if key not in known:
                known[key] = letter_version(self.connection, self.ws, template=key[0], language=key[1], now=self.now)
            row["letter_version"] = known[key]

    def _freeze(self, rows: Sequence[Row], details: Mapping[str, Sequence[Row]]) -> None:
        graphs = self.graphs.of((row["account_key"], row["bill_group_key"]) for row in rows)
        for row in rows:
            document = statement_document(
                statement=row,
                details=details.get(row["statement_id"], []),
                graph=graphs.get((row["account_key"], row["bill_group_key"])),
                company=self.ws.company,
            )
            row["content"] = canonical_json(document)
            row["content_sha256"] = sha256(row["content"].encode()).hexdigest()

    def _write(self, rows: Sequence[Row]) -> None:
        at = instant_text(self.now)
        update_stored(
            self.connection, statements, (*_FROZEN, "closed_at", "closed_by", "updated_at", "updated_by"),
            [(row["statement_id"], *(row[name] for name in _FROZEN), at, self.actor, at, self.actor) for row in rows],
            key="statement_id",
            also="status = 'closed', draft_key = null, row_version = statements.row_version + 1",
        )  # fmt: skip

    def _after(self, rows: Iterable[Row]) -> None:
        """A level that is only recorded counts from its closing: no send will ever follow."""
        unsent: dict[date, list[str]] = {}
        for row in rows:
            if row["do_not_send"] and row["kind"] == "dunning":
                unsent.setdefault(row["dunning_date"], []).append(row["statement_id"])
        for day, ids in sorted(unsent.items()):
            record_reached(self.connection, statement_ids=ids, sent_on=day, now=self.now)
