"""The closed list of reason codes in the order in which they are asked, each with its meaning in plain words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reason:
    """`step` is the place in the order of eligibility; `words` may name inputs of the decision in braces."""

    code: str
    step: str
    meaning: str
    words: str


_ALL = (
    Reason("advances", "included", "the item reaches the next level with this statement",
           "dunned: rises from level {level_before} to level {level_after}, {days_overdue} days overdue"),
    Reason("listed", "included", "the item keeps its level and stands on the statement of another item",
           "listed with its own level {level_after} on a statement of level {statement_level}"),
    Reason("level_repeated", "included", "the next level misses its minimum or share: the last letter goes out again",
           "level {level_before} is sent again: the minimum of level {next_level} is not met"),
    Reason("not_posted", "document status", "a draft, or a status that is no claim",
           "not dunned: the document's status is {status}, only posted ones are claims"),
    Reason("voided", "document status", "the invoice was voided", "not dunned: the invoice was voided"),
    Reason("cancelled", "document status", "the invoice was cancelled", "not dunned: the invoice was cancelled"),
    Reason("written_off", "document status", "the invoice was written off", "not dunned: the invoice was written off"),
    Reason("not_yet_issued", "document status", "its date lies after the dunning date",
           "not dunned: the invoice is not issued yet on this date"),
    Reason("nothing_open", "document status", "paid, credited, or a total of zero or less",
           "not dunned: nothing is open (open amount {open_amount} {currency})"),
    Reason("held_duplicate", "document status", "two sources carry the same legal entity and invoice number",
           "held: another source carries the same invoice number; a person must say which one counts"),
    Reason("account_unknown", "document status", "the invoice names an account that no source delivers",
           "held: no source delivers its account; deliver the account or correct the invoice"),
    Reason("unknown_currency", "currency", "no ISO 4217 currency", "held: {currency} is no known currency"),
    Reason("unassigned", "assignment", "neither bill group, account nor company names a process, or it says none",
           "not dunned: the bill group is in no dunning process"),
    Reason("process_unknown", "assignment", "the process that is named does not exist",
           "held: the process {process} does not exist"),
    Reason("not_due", "due date and grace", "on or before its due date, and no notice fires",
           "not dunned: due on {effective_due_date}"),
    Reason("in_grace", "due date and grace", "overdue, but not longer than the days of grace",
           "not dunned: {days_overdue} days overdue, within the grace of {grace_days} days"),
    Reason("account_blocked", "block", "a dunning block on the account", "not dunned: the account is blocked"),
    Reason("bill_group_blocked", "block", "a dunning block on the bill group", "not dunned: the bill group is blocked"),
    Reason("invoice_blocked", "block", "a dunning block on the invoice", "not dunned: the invoice is blocked"),
    Reason("disputed", "dispute", "the customer disputes it", "not dunned: the invoice is disputed"),
    Reason("promised", "promise", "a promise to pay is running",
           "not dunned: payment is promised for {promised_until}"),
    Reason("paused", "pause", "somebody took the bill group out of dunning, with a reason",
           "not dunned: dunning of the bill group is paused by hand"),
    Reason("rate_missing", "tolerance", "an amount of the process cannot be converted: no exchange rate",
           "held: there is no exchange rate for {currency} on this date"),
    Reason("below_tolerance", "tolerance", "the open amount of the item is below the tolerance",
           "not dunned: {open_amount} {currency} is open, below the tolerance of {tolerance}"),
    Reason("held_for_credit", "netting", "netting is `block` and the account has credits",
           "held: the account has credits of {account_credit} {currency} to be settled first"),
    Reason("covered_by_credit", "netting", "credits and unapplied cash cover what would be asked for",
           "not dunned: credits of {account_credit} {currency} cover what is overdue"),
    Reason("below_minimum", "minimums", "the dunnable principal is below the minimum of the process or level",
           "not dunned: {unit_dunnable} {currency} of the unit is below the minimum"),
    Reason("below_percent", "minimums", "the dunnable share of all open items is too small",
           "not dunned: {unit_dunnable} of {unit_open} {currency} is too small a share"),
    Reason("too_young", "minimums", "the oldest item of the unit is younger than minimum_days",
           "not dunned: the oldest item is {unit_oldest_days} days overdue, it takes {minimum_days}"),
    Reason("awaiting_send", "interval", "a closed statement with this item has not left, or nobody knows if it did",
           "waiting: a closed statement with this item is still to be sent"),
    Reason("interval_not_over", "interval", "the interval since the last sent statement has not passed",
           "not dunned: last sent on {last_sent_on}, the interval is {min_interval_days} days"),
    Reason("level_filtered", "level", "the run was limited to other levels",
           "not dunned by this run: it would reach a level that was not asked for"),
    Reason("last_level_sent", "level", "every level was sent", "not dunned: the last level ({last_level}) was sent"),
    Reason("level_not_reached", "level", "the date of the next level has not come",
           "not dunned: level {next_level} is reached on {next_level_on}"),
    Reason("condition_not_met", "level", "the level's condition is not true for it",
           "not dunned: the condition of level {next_level} is not met"),
    Reason("not_in_segment", "level", "the account is not a member of the level's segment",
           "not dunned: the account is not in the segment of level {next_level}"),
)  # fmt: skip

REASONS: Mapping[str, Reason] = {reason.code: reason for reason in _ALL}


# The evidence of a broken promise, said after whatever the reason is.
_BROKEN = "; the promise to pay by {promised_until} is broken: {open_amount} {currency} still open"


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "unknown"


def in_words(decision: Mapping[str, Any]) -> str:
    """One sentence for one decision row with `inputs` as a mapping, such as "not dunned: due on 2026-01-31"."""
    values = {**decision["inputs"], **{key: value for key, value in decision.items() if key != "inputs"}}
    said = _Known({key: value for key, value in values.items() if value is not None})
    words = REASONS[decision["reason"]].words
    if said.get("is_broken_promise"):
        words += _BROKEN + (", last paid on {last_cleared_on}" if "last_cleared_on" in said else ", nothing was paid")
    return words.format_map(said)


def reference_page() -> str:
    """docs/reason_codes.md: generated, so that it cannot drift."""
    rows = "\n".join(f"| `{reason.code}` | {reason.step} | {reason.meaning} |" for reason in _ALL)
    return f"""# Reason codes

Every item of every run gets one reason: the first that applies, in this order. `dunning explain` prints them in plain
words with the inputs, `--format json` as codes. Generated from `dunning_pipeline/dunning/reasons.py`.

| code | step | meaning |
|---|---|---|
{rows}

A missing recipient, consent or a suppression removes channels, not the debt: the item is `advances`, and where no
channel is left the draft is held with a `hold_reason` (`no_recipient`, `recipient_conflict`, `rate_missing`). A rate of
interest that is not known takes the interest away, not the statement, and raises a finding.
"""
