"""Contrast of every text with what lies behind it, read from the inline styles of a rendered e-mail (WCAG 2)."""

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup, NavigableString, Tag
from bs4.element import PreformattedString

Color = tuple[int, int, int]
_NAMED = {"white": "#ffffff", "black": "#000000", "red": "#ff0000", "gray": "#808080", "grey": "#808080"}
_SKIPPED = {"style", "script", "title", "head"}


def low_contrasts(html: str, *, minimum: float = 4.5) -> Iterator[tuple[str, float]]:
    """(text, ratio) of texts below the minimum; large text (24 px, or 18.7 px bold) needs 3.0 only."""
    body = BeautifulSoup(html, "html.parser").body
    if body is not None:
        yield from _walk(body, (0, 0, 0), (255, 255, 255), 16.0, False, minimum)


def ratio(one: Color, other: Color) -> float:
    """Between 1 (the same) and 21 (black on white)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _walk(
    node: Tag, color: Color, ground: Color, size: float, bold: bool, minimum: float
) -> Iterator[tuple[str, float]]:
    style = _style(node)
    if node.name in _SKIPPED or style.get("display") == "none":
        return
    ground = (
        _color(style.get("background-color") or style.get("background") or str(node.get("bgcolor") or "")) or ground
    )
    color = _color(style.get("color", "")) or color
    if match := re.match(r"([\d.]+)px", style.get("font-size", "")):
        size = float(match[1])
    bold = style.get("font-weight", "700" if node.name in ("b", "strong", "th", "h1", "h2") else "") in (
        "bold",
        "600",
        "700",
    ) or (bold and "font-weight" not in style)
    for child in node.children:
        if isinstance(child, Tag):
            yield from _walk(child, color, ground, size, bold, minimum)
        elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString) and child.strip():
            needed = 3.0 if size >= 24 or (bold and size >= 18.7) else minimum
            found = ratio(color, ground)
            if found < needed:
                yield " ".join(child.split())[:60], round(found, 2)


def _style(node: Tag) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in str(node.get("style") or "").split(";") if ":" in part)
    return {name.strip().lower(): value.strip().lower() for name, value in pairs}


def _color(text: str) -> Color | None:
    text = text.split()[0] if text.strip() else ""
    text = _NAMED.get(text, text)
    if match := re.fullmatch(r"#([0-9a-f]{3})", text):
        text = "#" + "".join(letter * 2 for letter in match[1])
    if not re.fullmatch(r"#[0-9a-f]{6}", text):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _luminance(color: Color) -> float:
    parts = [value / 255 for value in color]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
