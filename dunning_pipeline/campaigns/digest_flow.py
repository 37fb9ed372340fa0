"""The flow message of a campaign that consolidates: one digest per contact point over all accounts that it answers for.

An account is told of only where its own recipients, as the models choose them, are that very address or number.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from dunning_pipeline.campaigns.declaration import Campaign
from dunning_pipeline.campaigns.dunning_flow import Outcomes
from dunning_pipeline.campaigns.messages import Messages, better
from dunning_pipeline.campaigns.owing import rows_of
from dunning_pipeline.delivery.keys import send_key
from dunning_pipeline.delivery.permission.contact_points import points_of
from dunning_pipeline.errors import DunningError, NotThere
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import send_accounts, sends
from dunning_pipeline.letters.catalogue import Catalogue
from dunning_pipeline.letters.digest import digest_document
from dunning_pipeline.settings.workspace import Workspace

KIND = "campaign"
_ACCOUNTS = """
select links.unified_account_id, recipients.*, accounts.account_id, accounts.account_number,
    accounts.name as account_name,
    json_extract_string(recipients.address, '$.country') as country
from unified.account_links as links
inner join data_model.accounts as accounts on accounts.account_key = links.account_key
inner join dunning.account_recipients as recipients on recipients.account_key = links.account_key
order by links.account_key
"""
Row = dict[str, Any]
Group = tuple[str, str]  # contact point, language


def queue_digests(
    ws: Workspace, campaign: Campaign, accounts: Collection[str], *, occurrence: str, planned_for: datetime,
    now: datetime, actor: str, at_once: bool, preview: list[dict[str, Any]] | None = None,
) -> Outcomes:  # fmt: skip
    """One digest per contact point and language over the members' billing accounts, unified with each other or not.

    Outcome per member: queued, already_queued, not_in_digest (its contact point's digest was queued before it came),
    fatigue_cap, blocked, recipient_conflict, opted_out, no_channel, nothing_open, covered_by_credit,
    no_account or failed.
    """
    shared = Messages(ws, campaign, occurrence, planned_for, now, actor, at_once, preview=preview)
    digests = _Digests(shared)
    outcomes = dict.fromkeys(accounts, "no_account")
    rows = [row for row in rows_of(ws, _ACCOUNTS) if row["unified_account_id"] in outcomes]
    for channel in campaign.channels or ("email",):
        groups: dict[Group, list[Row]] = {}
        for row in rows:
            points = digests.points(row, channel)
            outcome = digests.kept_out(row, channel, points)
            if outcome is not None:
                party = row["unified_account_id"]
                outcomes[party] = better(outcomes[party], outcome)
                continue
            for point in points:
                groups.setdefault((point, digests.language(row["language"], channel)), []).append(row)
        for group in sorted(groups):
            for key, outcome in digests.queue(channel, group, groups[group]).items():
                outcomes[key] = better(outcomes[key], outcome)
    shared.tell_failures()
    return outcomes


class _Digests:
    def __init__(self, shared: Messages) -> None:
        self.shared = shared
        self.ws, self.campaign, self.occurrence = shared.ws, shared.campaign, shared.occurrence
        self.catalogue, self.languages = Catalogue(shared.ws), dict[tuple[str, str], str]()
        s, a = sends.c, send_accounts.c
        here = (s.campaign == self.campaign.campaign, s.occurrence == self.occurrence)
        query = select(s.send_key, s.channel, s.recipients, a.account_key).join(send_accounts, a.send_key == s.send_key)
        with reading(shared.engine) as connection:
            told = connection.execute(query.where(*here)).all()
        self.known = {row.send_key for row in told}
        self.told = {(row.channel, row.recipients["to"][0], row.account_key) for row in told}

    def language(self, wanted: str | None, channel: str) -> str:
        """The language that the template has for a reader: de-AT and de are one, and so are two that it has not."""
        asked = (wanted or self.shared.language, channel)
        if asked not in self.languages:
            try:
                found = self.catalogue.find(str(self.campaign.template), channel, asked[0]).language  # type: ignore[arg-type]
            except NotThere:
                found = asked[0]  # queueing says what is missing
            self.languages[asked] = found
        return self.languages[asked]

    def points(self, row: Row, channel: str) -> set[str]:
        """The normal forms of where the account is reached on a channel."""
        emails, number = (row["email_to"], None) if channel == "email" else ([], row["sms_to"])
        return points_of(emails, number, row["country"], self.ws.company.country)

    def kept_out(self, row: Row, channel: str, points: Collection[str]) -> str | None:
        """Why an account is in no digest on a channel; None where it is."""
        if row["has_conflict"]:
            return "recipient_conflict"
        if not points:
            return "opted_out" if row[f"{channel}_blocked_reason"] else "no_channel"
        if not self.shared.debts.of(row["account_key"])[0]:
            return self.shared.debts.nothing_owed(row["account_key"])
        return "blocked" if row["account_key"] in self.shared.debts.blocked else None

    def queue(self, channel: str, group: Group, rows: list[Row]) -> Outcomes:
        """The digest of one contact point; member → outcome. It is queued once per occurrence, whoever came since."""
        point, language = group
        recipient = f"{point} {language}"
        found: Outcomes = {}
        new = []
        for row in rows:
            if (channel, point, row["account_key"]) in self.told:
                found[row["unified_account_id"]] = "already_queued"
            else:
                new.append(row)
        if not new:
            return found
        key = send_key(
            channel=channel, kind=KIND, campaign=self.campaign.campaign, occurrence=self.occurrence, recipient=recipient
        )
        outcome = "not_in_digest" if key in self.known else self._queue(channel, point, language, recipient, new)
        for row in new:
            found[row["unified_account_id"]] = better(found.get(row["unified_account_id"], ""), outcome)
        return found

    def _queue(self, channel: str, point: str, language: str, recipient: str, rows: list[Row]) -> str:
        shared, keys = self.shared, [row["account_key"] for row in rows]
        zones = ",".join(dict.fromkeys(row["time_zone"] for row in rows if row["time_zone"])) or None
        parties = {row["unified_account_id"] for row in rows}
        try:
            with shared.engine.begin() as connection:
                if shared.tired(connection, [point], accounts=keys):
                    return "fatigue_cap"
                shared.queue(
                    connection, recipient=recipient, channel=channel, to=[point], account_key=keys[0], accounts=keys,
                    kind=KIND, language=language, document=self._document(rows, language, zones), time_zone=zones,
                    unified_account_id=parties.pop() if len(parties) == 1 else None,
                )  # fmt: skip
        except DunningError as error:
            return shared.failed(error, keys)
        return "queued"

    def _document(self, rows: list[Row], language: str, zones: str | None) -> Mapping[str, Any]:
        return digest_document(
            [(row, *self.shared.debts.of(row["account_key"])) for row in rows],
            language=language, time_zone=zones, template=str(self.campaign.template), on=self.shared.today,
            company=self.ws.company,
        )  # fmt: skip
