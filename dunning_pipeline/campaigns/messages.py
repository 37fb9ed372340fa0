"""What the messages of one occurrence share: who is tired of them, when they leave, what they say, what failed."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.fatigue import cap_of, recent_messages
from dunning_pipeline.campaigns.owing import Debts, rows_of
from dunning_pipeline.campaigns.timing import due_at
from dunning_pipeline.delivery.queue import queue_message
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.letters.catalogue import CHANNELS, Catalogue, TemplateSource
from dunning_pipeline.letters.document import statement_document
from dunning_pipeline.letters.subjects import asks_for_payment, shows_what_is_open
from dunning_pipeline.money import amount_text, to_minor
from dunning_pipeline.settings.workspace import Workspace

Row = Mapping[str, Any]

# Addresses and numbers that more than one account is reached at: what they get counts together.
_SHARED_POINTS = """
select lower(point) as point, list(distinct account_key) as account_keys
from (select account_key, unnest(list_append(email_to, sms_to)) as point from dunning.account_recipients)
where point is not null group by lower(point) having count(distinct account_key) > 1
"""
_LAST_PAYMENTS = """
select account_key, max(payment_date) as paid_on, arg_max(amount, payment_date) as amount,
    arg_max(currency, payment_date) as currency
from data_model.payments where status = 'processed' group by account_key
"""

# the better outcome of a party's several accounts is the one that is told
_RANK = (
    "queued", "already_queued", "fatigue_cap", "same_recipient", "not_in_digest", "blocked", "recipient_conflict",
    "opted_out", "no_channel", "covered_by_credit", "nothing_open", "failed",
)  # fmt: skip


def better(known: str, new: str) -> str:
    return new if known not in _RANK or _RANK.index(new) < _RANK.index(known) else known


class Messages:
    """What all messages of one occurrence share, read once."""

    def __init__(
        self, ws: Workspace, campaign: Campaign, occurrence: str, planned_for: datetime, now: datetime, actor: str,
        at_once: bool, overrides: Mapping[str, Any] | None = None, preview: list[dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        """`overrides`: what a person says for one message: to, cc, bcc (addresses), subject, body (plain text).
        `preview` takes the messages that would be queued; nothing is written then."""
        self.preview = preview
        self.said = dict(overrides or {})
        self.ws, self.campaign, self.occurrence, self.planned_for = ws, campaign, occurrence, planned_for
        self.now, self.actor, self.at_once = now, actor, at_once
        self.today = now.astimezone(ws.company.zone).date()
        self.engine = open_ledger(ws)
        self.debts = Debts(ws, self.engine, self.today)
        sources = _sources(ws, campaign)
        self.shows_what_is_open = any(map(shows_what_is_open, sources))
        self.asks_for_payment = any(map(asks_for_payment, sources))
        self.paid = {row["account_key"]: row for row in rows_of(ws, _LAST_PAYMENTS)}
        self.cap = cap_of(campaign, ws.company)
        shared = rows_of(ws, _SHARED_POINTS) if self.cap is not None else ()
        self.sharing: dict[str, list[str]] = {row["point"]: row["account_keys"] for row in shared}
        self.language = ws.company.default_language
        self.failures: dict[str, list[str]] = {}  # why a message could not be queued → the accounts it was for

    def send(self, row: Mapping[str, Any], recipient: str, *, kind: str = "campaign") -> str:
        """Queue on the first channel that reaches somebody (on all that the campaign names); the outcome."""
        wanted = self.campaign.channels or ("email",)
        if self.said.get("to"):
            row = {**row, "email_to": self.said["to"]}
        elif row["has_conflict"]:
            return "recipient_conflict"
        reachable = [(channel, to) for channel in wanted if (to := _reached(row, channel)) is not None]
        if not reachable:
            return "opted_out" if row["email_blocked_reason"] else "no_channel"
        items, credits = self.debts.of(row["account_key"]) if self.shows_what_is_open else ([], [])
        if self.asks_for_payment and not items:
            return self.debts.nothing_owed(row["account_key"])
        if items and kind == "campaign" and row["account_key"] in self.debts.blocked:
            return "blocked"
        try:
            with self.engine.begin() as connection:
                if self.cap is not None:
                    points = [address for _, to in reachable for address in to]
                    tired = self.tired(connection, points, accounts={row["account_key"]})
                    reachable = [(channel, to) for channel, to in reachable if not tired.intersection(to)]
                    if not reachable:
                        return "fatigue_cap"
                for channel, to in reachable:
                    self.queue(
                        connection, recipient=recipient, channel=channel, to=to, account_key=row["account_key"],
                        language=row["language"] or self.language, kind=kind,
                        document=self._document(row, items, credits), time_zone=row["time_zone"],
                        unified_account_id=row["unified_account_id"], cc=self.said.get("cc", ()),
                        bcc=self.said.get("bcc", ()), overrides=self.said or None,
                    )  # fmt: skip
        except DunningError as error:
            return self.failed(error, [row["account_key"]])
        return "queued"

    def queue(self, connection: Connection, *, time_zone: str | None, **message: Any) -> None:
        """Queue one message (see queue_message) as the campaign says."""
        due = due_at(
            self.campaign, self.ws, planned_for=self.planned_for, now=self.now, time_zone=time_zone,
            at_once=self.at_once,
        )  # fmt: skip
        if self.preview is not None:
            self.preview.append({**message, "due_at": due})
            return
        queue_message(
            connection, self.ws, campaign=self.campaign.campaign, occurrence=self.occurrence,
            template=str(self.campaign.template), now=self.now, actor=self.actor, due_at=due, send_now=self.at_once,
            time_zone=time_zone, **message,
        )  # fmt: skip

    def tired(self, connection: Connection, points: Collection[str], *, accounts: Collection[str]) -> set[str]:
        """Those of an account's addresses and numbers that have got as many messages as they may in a week."""
        if self.cap is None:
            return set()
        everybody = set(accounts).union(*(self.sharing.get(point.lower(), ()) for point in points))
        recent = recent_messages(connection, everybody, now=self.now)
        return {point for point in points if recent[point.lower()] >= self.cap}

    def failed(self, error: DunningError, accounts: Collection[str]) -> str:
        """The outcome of a message that could not be queued; why is told at the end."""
        if "queued already" in str(error):
            return "already_queued"
        self.failures.setdefault(str(error), []).extend(accounts)
        return "failed"

    def tell_failures(self) -> None:
        """A finding that says why messages of this occurrence could not be queued, and whose."""
        if not self.failures or self.preview is not None:
            return
        told = [f"{', '.join(keys[:5])}{' …' if keys[5:] else ''}: {why}" for why, keys in self.failures.items()]
        with self.engine.begin() as connection:
            raise_finding(
                connection, kind="messages_not_queued", object_kind="campaign", object_id=self.campaign.campaign,
                severity="error", detail={"occurrence": self.occurrence, "accounts": self.failures}, at=self.now,
                message=f"messages of {self.occurrence} could not be queued: {'; '.join(told)}",
            )  # fmt: skip

    def _document(self, row: Row, items: Sequence[Row], credits: Sequence[Row]) -> dict[str, Any]:
        """The merge document of a message that has no statement: what is owed in the account's main currency."""
        currency = row["currency"] or (items[0]["currency"] if items else "EUR")
        if items and not any(item["currency"] == currency for item in items):
            currency = items[0]["currency"]
        details = [_item_detail(item) for item in items if item["currency"] == currency]
        principal = sum(detail["amount_minor"] for detail in details)
        deducted = [_credit_detail(credit) for credit in credits if credit["currency"] == currency]
        credited = sum(detail["amount_minor"] for detail in deducted)
        details = [{**detail, "position": place} for place, detail in enumerate([*details, *deducted], start=1)]
        graph = orjson.loads(row["graph"]) if row["graph"] else None
        document = statement_document(
            statement=_statement(
                self.campaign, row, currency, principal, credited, self.today, self.ws.company.default_language
            ),
            details=details, graph=graph, company=self.ws.company,
        )  # fmt: skip
        paid = self.paid.get(row["account_key"])
        if paid is not None:
            amount = amount_text(to_minor(paid["amount"], paid["currency"]), paid["currency"])
            document["received"] |= {"amount": amount, "currency": paid["currency"], "date": str(paid["paid_on"])}
        return document


def _sources(ws: Workspace, campaign: Campaign) -> list[TemplateSource]:
    """The campaign's template in its channels and the company's languages; queueing tells of a missing one."""
    catalogue, found = Catalogue(ws), dict[TemplateSource, None]()  # languages that share a template name it once
    for channel in CHANNELS:
        for language in (ws.company.default_language, *ws.company.languages):
            if channel in (campaign.channels or ("email",)):
                with suppress(NotThere):
                    found[catalogue.find(str(campaign.template), channel, language)] = None
    return list(found)


def _reached(row: Mapping[str, Any], channel: str) -> list[str] | None:
    """The recipients on a channel; None where nobody is reached."""
    if channel == "email":
        return list(row["email_to"]) or None
    if channel == "sms":
        return [row["sms_to"]] if row["sms_to"] else None
    return [] if channel in ("letter", "task") and row["has_address"] else None


def _statement(
    campaign: Campaign, row: Row, currency: str, principal: int, credited: int, today: date, language: str
) -> dict[str, Any]:
    amounts = {"principal_minor": principal, "credits_minor": credited, "interest_minor": 0, "fees_minor": 0}
    return {
        **amounts,
        "please_pay_minor": principal + credited,
        "statement_id": None,
        "kind": campaign.flow,
        "dunning_date": today,
        "account_key": row["account_key"],
        "account_id": row["account_id"],
        "account_name": row["account_name"],
        "currency": currency,
        "language": row["language"] or language,
        "time_zone": row["time_zone"],
        "template": campaign.template,
        "address": orjson.loads(row["address"]) if row["address"] else {},
        "recipients": {"to": list(row["email_to"])},
        "texts": {},
    }


def _item_detail(item: Row) -> dict[str, Any]:
    open_minor = to_minor(item["open_amount"], item["currency"])
    return {
        "type": "invoice",
        "invoice_key": item["invoice_key"],
        "invoice_id": item["invoice_id"],
        "invoice_number": item["invoice_number"],
        "instalment": item["instalment"],
        "level": item["last_level"],
        "due_date": item["effective_due_date"],
        "days_overdue": item["days_overdue"],
        "original_minor": to_minor(item["original_amount"], item["currency"]),
        "open_minor": open_minor,
        "amount_minor": open_minor,
        "advances": False,
    }


def _credit_detail(credit: Row) -> dict[str, Any]:
    return {
        "type": "credit",
        "reference": credit["reference"],
        "amount_minor": -to_minor(credit["amount"], credit["currency"]),
    }
