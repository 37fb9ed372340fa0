"""Looks into each rendered message for what belongs to another account, before anything leaves."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.settings.company import Company

PDF = "application/pdf"
# At least five characters; of these, words of letters alone are no invoice number and no e-mail address.
_WORD = re.compile(r"[A-Za-z0-9][\w.%+/@-]{3,}[A-Za-z0-9]")


def words_of(message: Message, document: Mapping[str, Any] | None) -> set[str]:
    """The words that may name somebody: of subject, text part and HTML (what it shows and links to), and of the
    document where a PDF made from it is attached."""
    said = [message.subject, message.text]
    if document is not None and any(one.mime_type == PDF for one in message.attachments):
        said.append(canonical_json(document))
    return _words("\n".join(said)) | _words_shown(message.html)


def _words_shown(html: str) -> set[str]:
    """The words that the body of an HTML part shows and those of the addresses that its links lead to.

    By splitting at the tags and leaving out what is known to say nothing, because a regular expression over 30 kB of
    markup costs more than rendering it.
    """
    found: set[str] = set()
    for cell in _telling(html[html.find("</head>") + 1 :].split("</td>")):
        words = set().union(*map(_words_of_piece, _telling(cell.split(">"))))
        found |= words or _remember(cell)
    return found


MOST_WORDLESS = 20_000
_wordless: set[str] = set()  # pieces of markup without any word: nearly all of a template's own


def _telling(pieces: list[str]) -> set[str]:
    return set(pieces) - _wordless


def _remember(piece: str) -> frozenset[str]:
    """This piece says nothing: it need not be looked at again."""
    if len(_wordless) >= MOST_WORDLESS:
        _wordless.clear()
    _wordless.add(piece)
    return frozenset()


@lru_cache(maxsize=2_048)
def _words_of_piece(piece: str) -> frozenset[str]:
    """Of `shown text<tag href="…"`."""
    links = [part.partition('"')[0].replace("/", "\n") for part in piece.split('href="')[1:]]
    return frozenset(_words("\n".join([piece.partition("<")[0], *links]))) or _remember(piece)


def allowed_words(row: Mapping[str, Any], statement: Mapping[str, Any] | None) -> set[str]:
    """Words that are no leak wherever they come from: the recipient's own address and names."""
    own = [canonical_json(row["recipients"])]
    if statement is not None:
        own.append(canonical_json([statement["address"], statement["account_name"]]))
        own += [str(statement[name] or "") for name in ("number", "account_id", "statement_id")]
    return _words("\n".join(own))


def company_words(company: Company) -> set[str]:
    """The company's own words, which may stand in every message."""
    return _words(company.model_dump_json())


def _words(text: str) -> set[str]:
    found = {word for word in _WORD.findall(text) if not word.isalpha()}
    found.update([word.lower() for word in found if "@" in word])
    return found


def leaks(words: Iterable[str], owners: Mapping[str, set[str]], *, account_key: str) -> list[str]:
    """The words that name something of other accounts only."""
    return sorted(word for word in words if word in owners and account_key not in owners[word])
