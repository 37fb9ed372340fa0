"""Mirrors a compiled e-mail for languages read from the right: the author writes left and right as in English."""

import re

_SWAPPED = {"left": "right", "right": "left"}
_SIDE = re.compile(r"((?:text-align|float):\s*|\balign=\"|(?:padding|margin|border)-)(left|right)\b")
_FOUR = re.compile(r"\b((?:padding|margin):\s*)([^\s;\"]+)\s+([^\s;\"]+)\s+([^\s;\"]+)\s+([^\s;\"!]+)")
_DIRECTION = re.compile(r"\bdirection:\s*ltr|(?<=\s)dir=\"auto\"")


def is_right_to_left(language: str) -> bool:
    """'ar', 'he-IL' → True; a language that CLDR does not know is read from the left."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language.split("-")[0]).text_direction == "rtl"
    except (UnknownLocaleError, ValueError):
        return False


def mirrored(html: str) -> str:
    """The page with direction, alignments and side paddings turned around; rounded corners stay."""
    html = _DIRECTION.sub(lambda match: 'dir="rtl"' if "dir=" in match[0] else "direction:rtl", html)
    html = _SIDE.sub(lambda match: match[1] + _SWAPPED[match[2]], html)
    html = html.replace('<a href="tel:', '<a dir="ltr" href="tel:')  # its groups of figures keep their order
    return _FOUR.sub(r"\1\2 \5 \4 \3", html)
