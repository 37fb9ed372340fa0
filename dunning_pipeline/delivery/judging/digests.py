"""Judges a digest, one message over several accounts: each of them as if it were the only one."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dunning_pipeline.delivery.judging.facts import Holder, Item
from dunning_pipeline.money import to_minor

if TYPE_CHECKING:
    from dunning_pipeline.delivery.judging.verdicts import Facts


def told_accounts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The accounts that a send's document tells of; empty for everything that is no digest."""
    return (row["document"] or {}).get("accounts") or []


def accounts_of(row: Mapping[str, Any]) -> set[str]:
    """The keys of all accounts that a send may say something of."""
    return {account["key"] for account in told_accounts(row)} or {row["account_key"]}


def listed_items(
    account_key: str, items: Iterable[Mapping[str, Any]], names: Mapping[str, str], currency: str | None = None
) -> dict[Item, int]:
    """What a message says is open of an account, in minor units of `currency`, else of each item's own.

    A message names invoices by their ids; `names` gives the keys of those that had another id before.
    """
    source = account_key.partition(":")[0]
    return {
        (names.get(key := f"{source}:{item['invoice_id']}", key), item["instalment"] or 1): to_minor(
            Decimal(item["open_amount"]), currency or item["currency"]
        )
        for item in items
    }


def listed_credits(account_key: str, credits: Iterable[Mapping[str, Any]], currency: str) -> dict[Holder, int]:
    """What a message about one account deducts from its open items, in minor units of `currency`."""
    deducted = sum((-Decimal(credit["amount"]) for credit in credits), Decimal(0))
    return {(account_key, None, currency): to_minor(deducted, currency)}


def _deducted(account: Mapping[str, Any]) -> dict[Holder, int]:
    """What a digest deducts from the open items of one of its accounts, in minor units, per currency."""
    return {
        (account["key"], None, row["currency"]): to_minor(Decimal(row.get("credit_amount") or 0), row["currency"])
        for row in account["sums"]
    }


def digest_obstacle(row: Mapping[str, Any], facts: "Facts", point: str | None) -> str | None:
    """Why a digest to `point` (a normal address) must not leave: the first of its accounts of which something is no
    longer as it says. Its reader must still be the account's own recipient, nothing may be blocked, paid or changed."""
    return next((why for account in told_accounts(row) for why in _obstacles(account, facts, point)), None)


def _obstacles(account: Mapping[str, Any], facts: "Facts", point: str | None) -> Iterator[str]:
    key = account["key"]
    if point not in facts.points.get(key, ()):
        yield f"recipient_changed: account {key} is not reached at this address any more"
    listed = listed_items(key, account["items"], facts.names)
    known = {item: current for item in listed if (current := facts.items.get(item)) is not None}
    for item, said in listed.items():
        current = known.get(item)
        if current is None or current.status != "posted" or current.open_minor != said or current.account_key != key:
            yield f"amount_changed: account {key}, invoice {item[0]}"
    for holder, said in _deducted(account).items():
        if facts.credits.get(holder, 0) != said:
            yield f"amount_changed: account {key}, its credits"
    for one in dict.fromkeys([key, *(current.bill_group_key for current in known.values()), *(i[0] for i in listed)]):
        if one in facts.blocks:
            yield f"block: account {key}, {facts.blocks[one]} on {one}"
        if one in facts.prevented:
            yield f"block: account {key}, the source says not to dun {one}"
    for item, current in known.items():
        if current.is_prevented or current.is_disputed:
            yield f"block: account {key}, {'dispute' if current.is_disputed else 'block'} on {item[0]}"
