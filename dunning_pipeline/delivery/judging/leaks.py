"""Looks into each rendered message for what belongs to another account, before anything leaves."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from dunning_pipeline.delivery.providers.protocol import Message
from dunning_pipeline.ledger.types import canonical_json
from dunning_pipeline.letters.printing import Plate, Print
from dunning_pipeline.settings.company import Company

PDF = "application/pdf"
SHORTEST = 3
# At least five characters; of these, words of letters alone are no invoice number and no e-mail address. What stands
# between blanks counts as a whole, too: short numbers, and such with letters that are not ASCII (or were garbled).
_WORD = re.compile(r"[A-Za-z0-9][\w.%+/@-]{3,}[A-Za-z0-9]")
# A piece up to where its first word may have begun before it, and from where its last one may go on after it.
_AROUND = ".,;:!?()[]<>{}\"'«»„“”‚‘’*"
_EDGES = re.compile(r"""([^\s<>;"]*).*?([^\s<>;"]*)""", re.DOTALL)


def words_of(message: Message, document: Mapping[str, Any] | None) -> set[str]:
    """The words that may name somebody: of subject, text part and HTML (what it shows and links to), and of the
    document where a PDF made from it is attached; and more, where that is cheaper than telling apart."""
    filled, known = [message.subject], set[str]()
    for part, words_of_whole in ((message.text, _words), (message.html, _words_shown)):
        if isinstance(part, Print):
            text, words = _filled_in(part, words_of_whole)
            filled.append(text)
            known |= words
        else:
            known |= words_of_whole(part)
    if document is not None and any(one.mime_type == PDF for one in message.attachments):
        filled.append(canonical_json(document))
    tokens = set("\n".join(filled).split()) - _wordless
    for token in tokens:
        if of_token := _words_of_token(token):
            known |= of_token
        elif len(_wordless) < MOST_WORDLESS:
            _wordless.add(token)
    return known


_wordless: set[str] = set()  # what stands between blanks and holds no word: most of what was filled in
MOST_WORDLESS = 100_000


class _Known:
    """What was looked at of a plate: pieces that were seen inside a whole text, and the words that they say there."""

    def __init__(self, plate: Plate) -> None:
        self.edges = {piece: _edges_of(piece) for piece in plate.pieces}
        self.seen: set[str] = set()
        self.words: set[str] = set()


_known: "WeakKeyDictionary[Plate, _Known]" = WeakKeyDictionary()


def _filled_in(text: Print, words_of_whole: Callable[[str], set[str]]) -> tuple[str, set[str]]:
    """What was filled in, together with what it touches of the template's own pieces; and the words inside these,
    known from the first text that they stood in."""
    known = _known.get(text.plate)
    if known is None:
        known = _known[text.plate] = _Known(text.plate)
    own = text.plate.pieces.intersection(text.pieces)
    if not own <= known.seen:
        known.words |= words_of_whole("".join([piece if piece in own else " " for piece in text.pieces]))
        known.seen |= own
    return "".join(map(known.edges.get, text.pieces, text.pieces)), known.words


def _edges_of(piece: str) -> str:
    """All that can be part of a word with the neighbours of a piece."""
    edges = _EDGES.fullmatch(piece)
    assert edges is not None
    return piece if edges[1] == piece else f"{edges[1]}\n{edges[2]}"


def _words_shown(html: str) -> set[str]:
    """The words that the body of an HTML part shows and those of the addresses that its links lead to."""
    found: set[str] = set()
    for piece in set(html[html.find("</head>") + 1 :].split(">")):  # `shown text<tag href="…"`
        links = [part.partition('"')[0].replace("/", "\n") for part in piece.split('href="')[1:]]
        found |= _words("\n".join([piece.partition("<")[0], *links]))
    return found


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
    likely = _likely(text)
    found = {word for word in _WORD.findall("\n".join(likely)) if not word.isalpha()}
    found.update(filter(_may_be_number, [token.strip(_AROUND) for token in likely]))
    found.update([word.lower() for word in found if "@" in word])
    return found


def _may_be_number(token: str) -> bool:
    """Whether a whole token may be an invoice number; a few digits alone are counts, years and days."""
    return len(token) >= SHORTEST and not token.isalpha() and not (token.isdecimal() and len(token) < 5)


def _likely(text: str) -> set[str]:
    """What stands between blanks and can have a word in it: an expression would have to look at each letter."""
    return {token for token in text.split() if len(token) >= SHORTEST and not token.isalpha()}


@lru_cache(maxsize=8_192)
def _words_of_token(token: str) -> frozenset[str]:
    """Most of what a message says is said in others, too: dates, the company's words. With the parts of a link."""
    found = _words(token)
    return frozenset(found.union(*(_words(word.replace("/", " ")) for word in found if "/" in word)))


def leaks(words: Iterable[str], owners: Mapping[str, set[str]], *, accounts: Collection[str]) -> list[str]:
    """The words that name something of other accounts than these (keys; of a digest several) only."""
    return sorted(word for word in words if word in owners and owners[word].isdisjoint(accounts))
