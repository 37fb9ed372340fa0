"""The words that the normalisers know (tables/*.yaml) and the cleaning of text that every normaliser begins with."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import hashlib
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

from rigour.text.translit import ascii_text
from ruamel.yaml import YAML

TABLES = Path(__file__).parent / "tables"
LONGEST_VALUE = 300  # characters; longer values are pasted documents, not names or addresses

_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060\ufeff\ufffd\ud800-\udfff]+")
_SPACES = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^a-z0-9]+")


@cache
def words(name: str) -> frozenset[str]:
    """A list of tables/words.yaml as a set."""
    return frozenset(str(word) for word in table("words")[name])


@cache
def mapping(name: str) -> dict[str, str]:
    """A mapping of tables/words.yaml."""
    return {str(key): str(value) for key, value in table("words")[name].items()}


@cache
def table(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((TABLES / f"{name}.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def tables_version() -> str:
    """Changes whenever a table changes; the value cache is renewed then."""
    digest = hashlib.sha256()
    for file in sorted(TABLES.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def cleaned(text: str | None) -> str:
    """`text` without control, invisible and broken characters, spaces collapsed; '' for nothing and for null-like words."""
    if not text or len(text) > LONGEST_VALUE:
        return ""
    text = _UNSEEN.sub(" ", unicodedata.normalize("NFKC", text)) if not text.isascii() else _UNSEEN.sub(" ", text)
    text = _SPACES.sub(" ", text).strip()
    return "" if text.casefold() in words("null_like") else text


def latin(text: str) -> str:
    """Lower-case ASCII: accents dropped, other scripts transliterated."""
    return (text if text.isascii() else ascii_text(text)).lower()


def tokens(text: str) -> list[str]:
    """The words of a text in lower-case ASCII; apostrophes join (o'neil → oneil)."""
    return [word for word in _NOT_WORD.split(latin(text).replace("'", "").replace("`", "").replace("’", "")) if word]
