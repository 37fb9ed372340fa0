"""Looks into each rendered message for what belongs to another account, before anything leaves."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.settings.company import Company

# At least five characters; of these, words of letters alone are no invoice number and no e-mail address.
_WORD = re.compile(r"[A-Za-z0-9][\w.%+/@-]{3,}[A-Za-z0-9]")


def words_of(message: Message) -> set[str]:
    """The words of a message's subject and text part (what the HTML says, without markup) that may name somebody."""
    return _words(f"{message.subject}\n{message.text}")


def allowed_words(row: Mapping[str, Any], statement: Mapping[str, Any] | None, company: Company) -> set[str]:
    """Words that are no leak wherever they come from: the company's own, and the recipient's own address."""
    own = [canonical_json(row["recipients"])]
    if statement is not None:
        own.append(canonical_json([statement["address"], statement["account_name"]]))
        own += [str(statement[name] or "") for name in ("number", "account_id", "statement_id")]
    return _words("\n".join(own)) | _company_words(company.model_dump_json())


def _words(text: str) -> set[str]:
    found = {word for word in _WORD.findall(text) if not word.isalpha()}
    found.update([word.lower() for word in found if "@" in word])
    return found


@lru_cache(maxsize=4)
def _company_words(text: str) -> frozenset[str]:
    return frozenset(_words(text))


def leaks(words: Iterable[str], owners: Mapping[str, set[str]], *, account_key: str) -> list[str]:
    """The words that name something of other accounts only."""
    return sorted(word for word in words if word in owners and account_key not in owners[word])
