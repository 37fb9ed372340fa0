"""Gathers what the gate judges a batch of sends on: the ledger of this moment and the newest published snapshot."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Date, bindparam, func, or_, select, text

from dunning_pipeline.delivery.judging.digests import listed_credits, listed_items, told_accounts
from dunning_pipeline.delivery.judging.facts import Holder, Item, ItemNow, PublishedFacts
from dunning_pipeline.delivery.judging.verdicts import FOLLOWING, POINTS, Facts, business_day
from dunning_pipeline.delivery.permission.consent import consents_of
from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.delivery.permission.suppressions import suppressed
from dunning_pipeline.delivery.queue import RENDERED
from dunning_pipeline.delivery.working.outcomes import number_of_loads
from dunning_pipeline.errors import InvalidInput, NotThere
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.schema import blocks, sends, statement_details, statements, stream_loads, switches
from dunning_pipeline.letters.document import last_day
from dunning_pipeline.settings.company import Company
from dunning_pipeline.statements.assigning import paused

# Made once: building a statement costs more than running it.
_object = func.lower(stream_loads.c.object)
_PAYMENTS_LOADED_AT = select(func.max(stream_loads.c.loaded_at)).where(
    or_(_object.like("payment"), _object.like("payments"), _object.like("paymentline%"), _object.like("payment_alloc%"))
)
_SWITCHES = select(switches.c.name)
_ASKED: BindParameter[Any] = bindparam("ids", expanding=True)
_STATEMENTS = select(
    statements.c.statement_id,
    statements.c.kind,
    statements.c.status,
    statements.c.due_date,
    statements.c.account_key,
    statements.c.legal_entity,
    statements.c.currency,
    statements.c.open_credits_minor,
    statements.c.hand_edits,
).where(statements.c.statement_id.in_(_ASKED))
_LINES = select(
    statement_details.c.statement_id,
    statement_details.c.invoice_key,
    statement_details.c.instalment,
    statement_details.c.open_minor,
    statement_details.c.days_overdue,
    statement_details.c.due_date,
).where(statement_details.c.statement_id.in_(_ASKED), statement_details.c.type == "invoice")
_charge, _message = sends.alias("charge"), sends.alias("message")
_OVERTAKEN = (
    select(_charge.c.send_key)
    .join(_message, _message.c.statement_id == _charge.c.statement_id)
    .where(
        _charge.c.send_key.in_(_ASKED),
        _charge.c.kind == "dunning",  # who charges again on purpose knows of the reminder
        _message.c.channel.in_(RENDERED),
        _message.c.kind != "draft",
        or_(_message.c.status.in_(("in_flight", "unknown")), _message.c.sent_at >= _charge.c.queued_at),
    )
)
_BLOCKS = select(blocks.c.target_key, blocks.c.kind).where(
    blocks.c.target_key.in_(bindparam("keys", expanding=True)),
    blocks.c.valid_from <= bindparam("day"),
    or_(blocks.c.valid_to.is_(None), blocks.c.valid_to >= bindparam("day")),
    blocks.c.ended_at.is_(None),
)
# What was agreed with the debtor since the statement was closed; whatever was agreed before, the decision has weighed.
# A charge that it claims and that was paid or waived is held for a person: voided, the next run might charge it again.
_AGREED = text(
    """
    select s.statement_id, 'promise' as kind
    from statements s join promises p on p.account_key = s.account_key
    where s.statement_id in :ids and p.created_at >= s.closed_at and p.withdrawn_at is null and p.promised_for >= :day
        and (p.invoice_key is null or p.invoice_key in (
            select d.invoice_key from statement_details d where d.statement_id = s.statement_id))
    union all
    select s.statement_id, 'postponement' as kind
    from statements s
    join statement_details d on d.statement_id = s.statement_id and d.type = 'invoice'
    join postponements p on p.invoice_key = d.invoice_key and coalesce(p.instalment, d.instalment) = d.instalment
    where s.statement_id in :ids and p.created_at >= s.closed_at and p.ended_at is null and p.postponed_to >= :day
    union all
    select s.statement_id, 'a charge was paid or waived' as kind
    from statements s
    join postings p on p.account_key = s.account_key and p.type in ('payment', 'waiver')
    join postings charge on charge.posting_id = p.reverses
    where s.statement_id in :ids and p.created_at >= s.closed_at
        and (charge.statement_id = s.statement_id or exists (
            select 1 from statement_details d
            where d.statement_id = s.statement_id and (
                (d.type = 'carried_fee' and d.reference = charge.statement_id)
                or (d.type = 'carried_interest' and d.invoice_key = charge.invoice_key))))
    """
).bindparams(bindparam("ids", expanding=True), bindparam("day", type_=Date))


def gather(
    connection: Connection,
    published: PublishedFacts,
    rows: Sequence[Mapping[str, Any]],
    *,
    now: datetime,
    company: Company,
) -> tuple[Facts, dict[str, str]]:
    """The facts for these sends, and the normal form of each of their addresses."""
    today = business_day(now, company)
    ids = {row["statement_id"] for row in rows if row["statement_id"]}
    closed = _of_statements(connection, ids)
    told = {account["key"]: account for row in rows for account in told_accounts(row)}
    saying = {
        row["account_key"] for row in rows if row["statement_id"] is None and (row["document"] or {}).get("items")
    }
    names = _names(published, saying | set(told), today)
    listed = {**closed.listed, **_listed_in_documents(rows, names)}
    invoices = {item[0] for items in listed.values() for item in items}
    items = _items(published, invoices, today, needed=bool(ids or told))
    known_credits = {**closed.known_credits, **_credits_in_documents(rows, listed)}
    holders = {holder[0] for known in known_credits.values() for holder in known} | set(told)
    following = [row for row in rows if row["kind"] in FOLLOWING]
    reached = set(told) | {row["account_key"] for row in following if row["channel"] in POINTS}
    planned = {row["account_key"] for row in following if row["kind"] == "collection_plan"}
    written = {row["account_key"] for row in following if row["channel"] == "letter"}
    copied = {row["account_key"] for row in rows if row["statement_id"] and (_all(row) != row["recipients"].get("to"))}
    keys = {key for row in rows for key in (row["account_key"], row["bill_group_key"]) if key}
    keys |= {item.bill_group_key for item in items.values()} | set(told)
    addresses, invalid = _addresses(rows)
    switched = set(connection.scalars(_SWITCHES))
    by_channel = {
        channel: {addresses[a] for row in rows if row["channel"] == channel for a in _all(row) if a in addresses}
        for channel in ("email", "sms")
    }
    number = number_of_loads(connection)
    facts = Facts(
        statements=closed.statuses,
        listed=listed,
        due=closed.due,
        last_days=closed.last_days,
        items=items,
        names=names,
        known_credits=known_credits,
        credits=published.credits(holders, as_of=today) if holders and items else {},
        blocks=blocks_in_force(connection, keys | invoices, on=today),
        agreed=_agreed(connection, ids, today),
        prevented=_prevented(published, keys, today),
        suppressed={
            (channel, point): reason
            for channel, points in by_channel.items()
            if points
            for point, reason in suppressed(connection, points, channel=channel).items()
        },
        consents={
            (channel, *known): status
            for channel, points in by_channel.items()
            if points
            for known, status in consents_of(connection, points, channel=channel).items()
        },
        payments_loaded_at=payments_loaded_at(connection),
        facts_unpublished=not published.contains(number, lambda: loads_known(connection)),
        loads=number,
        is_stopped="stop" in switched,
        paused_campaigns={name.removeprefix("campaign:") for name in switched if name.startswith("campaign:")},
        invalid=invalid,
        points=published.points(reached, as_of=today, country=company.country) if reached else {},
        copies=published.copies(copied, as_of=today) if copied else {},
        plan_points=published.plan_points(planned, as_of=today) if planned else {},
        postal=published.postal(written, as_of=today) if written else {},
        by_hand=closed.by_hand,
        overtaken=_overtaken(connection, [row["send_key"] for row in rows if row["channel"] == "payment_retry"]),
    )
    return facts, addresses


def loads_known(connection: Connection) -> set[str]:
    """Names of everything that was ever put in place by an ingest (see data_streams.load_log)."""
    return {load.partition(":")[0] for load in connection.scalars(select(stream_loads.c.load_id))}


def payments_loaded_at(connection: Connection) -> datetime | None:
    """When payments were last read, business clock; None where no payment stream was ever read."""
    return connection.scalar(_PAYMENTS_LOADED_AT)


def blocks_in_force(connection: Connection, keys: Collection[str], *, on: date) -> dict[str, str]:
    """Key of an account, bill group or invoice → kind of the block in force on a date, pauses by hand included."""
    if not keys:
        return {}
    pauses = dict.fromkeys(paused(connection, keys, on=on), "pause")
    for some in chunks(keys, 10_000):  # a batch of digests lists more than one query may name
        pauses |= dict(connection.execute(_BLOCKS, {"keys": some, "day": on}).tuples().all())
    return pauses


def _overtaken(connection: Connection, charges: Sequence[str]) -> set[str]:
    """Payment retries that waited while a message of their statement left, as it does when the provider is away."""
    return set(connection.scalars(_OVERTAKEN, {"ids": list(charges)})) if charges else set()


def _agreed(connection: Connection, ids: Collection[str], on: date) -> dict[str, str]:
    """Statement → what was agreed with the debtor, or settled of its charges, since it was closed."""
    return dict(connection.execute(_AGREED, {"ids": list(ids), "day": on}).tuples().all()) if ids else {}


@dataclass(frozen=True, slots=True)
class _Statements:
    """What the ledger says of the statements of a batch, by statement_id."""

    statuses: dict[str, str] = field(default_factory=dict)
    listed: dict[str, dict[Item, int]] = field(default_factory=dict)
    due: dict[str, dict[Item, date]] = field(default_factory=dict)
    last_days: dict[str, date] = field(default_factory=dict)
    known_credits: dict[str, dict[Holder, int]] = field(default_factory=dict)
    by_hand: dict[str, set[str]] = field(default_factory=dict)


def _of_statements(connection: Connection, ids: Collection[str]) -> _Statements:
    found = _Statements()
    if not ids:
        return found
    lines: dict[str, list[Any]] = {}
    for line in connection.execute(_LINES, {"ids": list(ids)}).mappings():
        lines.setdefault(line["statement_id"], []).append(line)
    row: Any
    for row in connection.execute(_STATEMENTS, {"ids": list(ids)}).mappings():
        statement_id = row["statement_id"]
        invoices = lines.get(statement_id, [])
        found.statuses[statement_id] = row["status"]
        found.listed[statement_id] = {
            (line["invoice_key"], line["instalment"] or 1): line["open_minor"] for line in invoices
        }
        found.due[statement_id] = {
            (line["invoice_key"], line["instalment"] or 1): line["due_date"] for line in invoices if line["due_date"]
        }
        found.by_hand[statement_id] = set(row["hand_edits"])
        if (last := last_day(row, invoices)) is not None:
            found.last_days[statement_id] = last
        if row["open_credits_minor"] is not None:
            holder = (row["account_key"], row["legal_entity"] or "", row["currency"])
            found.known_credits[statement_id] = {holder: row["open_credits_minor"]}
    return found


def _names(published: PublishedFacts, accounts: Collection[str], today: date) -> dict[str, str]:
    try:
        return published.names(accounts, as_of=today) if accounts else {}
    except NotThere:  # `_items` says whether that matters
        return {}


def _listed_in_documents(rows: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> dict[str, dict[Item, int]]:
    """send_key → what a message without a statement says is open."""
    listed: dict[str, dict[Item, int]] = {}
    for row in rows:
        document = row["document"] or {}
        if told := told_accounts(row):
            of_accounts = (listed_items(one["key"], one["items"], names) for one in told)
            listed[row["send_key"]] = {item: said for each in of_accounts for item, said in each.items()}
        elif row["statement_id"] is None and document.get("items"):
            items = [item for item in document["items"] if item.get("invoice_id") and item.get("open_amount")]
            listed[row["send_key"]] = listed_items(row["account_key"], items, names, document["currency"])
    return listed


def _credits_in_documents(rows: Iterable[Mapping[str, Any]], listed: Mapping[str, Any]) -> dict[str, dict[Holder, int]]:
    """send_key → what a message of one account without a statement deducts from what it lists."""
    return {
        row["send_key"]: listed_credits(
            row["account_key"], row["document"].get("credits") or (), row["document"]["currency"]
        )
        for row in rows
        if row["send_key"] in listed and not told_accounts(row)
    }


def _items(published: PublishedFacts, invoices: Collection[str], today: date, *, needed: bool) -> dict[Item, ItemNow]:
    try:
        return published.items(invoices, as_of=today) if invoices else {}
    except NotThere:
        if needed:  # a statement must not leave unjudged
            raise
        return {}


def _prevented(published: PublishedFacts, keys: Collection[str], today: date) -> set[str]:
    try:
        return published.prevented(keys, as_of=today)
    except NotThere:  # messages without statements need no snapshot
        return set()


def _addresses(rows: Iterable[Mapping[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    """(address as written → normal form, address as written → why it is none)"""
    known: dict[str, str] = {}
    invalid: dict[str, str] = {}
    for row in rows:
        for address in _all(row) if row["channel"] in ("email", "sms") else ():
            try:
                known[address] = normal(address, row["channel"])
            except InvalidInput as error:
                invalid[address] = error.message
    return known, invalid


def _all(row: Mapping[str, Any]) -> list[str]:
    """To and copy recipients as they are written."""
    return [address for part in ("to", "cc", "bcc") for address in row["recipients"].get(part) or ()]
