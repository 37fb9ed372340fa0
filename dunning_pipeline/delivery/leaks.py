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
    return _words("\n".join(said)).union(*map(_words_of_piece, _shown(message.html)))


def _shown(html: str) -> set[str]:
    """What the body of an HTML part shows and where its links lead, in pieces.

    By splitting, because a regular expression over 40 kB of markup costs more than rendering it.
    """
    body = html[html.find("</head>") + 1 :]
    shown = [piece.partition("<")[0].strip() for piece in body.split(">") if piece[:1] != "<"]
    links = [piece.partition('"')[0].replace("/", "\n") for piece in body.split('href="')[1:]]
    return {text for text in (*shown, *links) if len(text) > 4}


@lru_cache(maxsize=2_048)  # most pieces are the template's own and the same in each message
def _words_of_piece(piece: str) -> frozenset[str]:
    return frozenset(_words(piece))


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
