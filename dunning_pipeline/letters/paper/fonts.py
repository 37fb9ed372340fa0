"""The fonts that ship with the product (SIL Open Font License, see fonts/LICENSE.txt) and the letters they hold."""

from functools import lru_cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "fonts"
_FAMILIES = ["Noto Sans", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari",
             "Noto Sans Thai", "Noto Color Emoji"]  # fmt: skip
MISSING = "□"


def families(language: str) -> list[str]:
    """Font families in order of preference; Japanese letters take their Latin from the Japanese font, too."""
    if language.startswith("ja"):
        return ["Noto Sans CJK JP", *(name for name in _FAMILIES if name != "Noto Sans CJK JP")]
    return _FAMILIES


@lru_cache(maxsize=1)
def coverage() -> frozenset[int]:
    """Code points that some shipped font can draw, from fonts/coverage.txt (hexadecimal ranges)."""
    points: set[int] = set()
    for part in (FOLDER / "coverage.txt").read_text(encoding="ascii").split():
        first, _, last = part.partition("-")
        points.update(range(int(first, 16), int(last or first, 16) + 1))
    return frozenset(points)


def printable(value: Any) -> Any:
    """The same value with each letter that cannot be drawn as □: PDF/A refuses glyphs that are missing.

    Control characters go away; direction marks and joiners stay, they shape Arabic and Hebrew.
    """
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() else _drawn(value)
    if isinstance(value, dict):
        return {key: printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [printable(inner) for inner in value]
    return value


def not_drawn(text: str) -> str:
    """The letters of a text that a PDF shows as □, each once."""
    letters = () if text.isascii() else dict.fromkeys(text)
    return "".join(one for one in letters if not one.isascii() and _drawn(one) == MISSING != one)


@lru_cache(maxsize=20_000)
def _drawn(text: str) -> str:
    known = coverage()
    kept = []
    for letter in text:
        point = ord(letter)
        if letter == "\n" or (point in known and not _is_control(point)):
            kept.append(letter)
        elif point >= 0xA0 and not _is_control(point) and not 0xFE00 <= point <= 0xFE0F:
            kept.append(MISSING)
    return "".join(kept)


def _is_control(point: int) -> bool:
    """C0, C1, and the embeddings and overrides that could turn the text around them."""
    return point < 0x20 or 0x7F <= point < 0xA0 or 0x202A <= point <= 0x202E or 0x2060 <= point <= 0x206F
