"""Looks into each rendered message for what belongs to another account, before anything leaves."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.settings.company import Company

# A word that can be an invoice number or an e-mail address: has a digit or an @, at least five characters.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+/-]*@[A-Za-z0-9.-]+[A-Za-z0-9]|(?=[A-Za-z_/-]*\d)[A-Za-z0-9][\w/-]{3,}\w")


def words_of(message: Message) -> set[str]:
    """The words of a message's subject, text part (what the HTML says, without markup) and facts."""
    text = f"{message.subject}\n{message.text}"
    found = set(_WORD.findall(text))
    found.update(word.lower() for word in found if "@" in word)
    return found


def allowed_words(row: Mapping[str, Any], statement: Mapping[str, Any] | None, company: Company) -> set[str]:
    """Words that are no leak wherever they come from: the company's own, and the recipient's own address."""
    own = [_company_text(company), canonical_json(row["recipients"])]
    if statement is not None:
        own.append(canonical_json([statement["address"], statement["recipients"], statement["account_name"]]))
        own += [str(statement[name] or "") for name in ("number", "account_id", "statement_id")]
    words = {word for text in own for word in _WORD.findall(text)}
    return words | {word.lower() for word in words}


def leaks(words: Iterable[str], owners: Mapping[str, set[str]], *, account_key: str) -> list[str]:
    """The words that name something of other accounts only."""
    return sorted(word for word in words if word in owners and account_key not in owners[word])


def _company_text(company: Company) -> str:
    return str(company.model_dump_json())


__all__: Sequence[str] = ("allowed_words", "leaks", "words_of")
