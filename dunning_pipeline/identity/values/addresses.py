"""Postal addresses as one comparable text: street words abbreviated the same way, house number first, place last."""

import re

from dunning_pipeline.identity.values.places import country_code, state_code
from dunning_pipeline.identity.values.words import cleaned, latin, mapping, tokens, words

_NUMBER = re.compile(r"^\d+[a-z]?$")
_POSTAL = re.compile(r"[^A-Z0-9]+")


def normalised_address(
    street: str, city: str, postal_code: str, state: str, country: str
) -> tuple[str | None, str | None, str | None, str | None]:
    """(address, postal code, city, problem); the address is None unless it has a street, a number and a place.

    problem: empty, no_street_number, po_box, no_place.
    """
    line, state, country = cleaned(street), cleaned(state), cleaned(country)
    if line and not (city or postal_code or state or country):
        line, state, country = _split_line(line)
    nation = country_code(country)
    postal = _POSTAL.sub("", latin(cleaned(postal_code)).upper()) or None
    if nation == "US" and postal:
        postal = postal[:5]
    town = " ".join(tokens(cleaned(city))) or None
    if not line:
        return None, postal, town, "empty"
    parts = _street_tokens(line)
    if " ".join(tokens(line)).startswith(tuple(words("po_box"))):
        return None, postal, town, "po_box"
    if not any(_NUMBER.match(part) for part in parts) or all(_NUMBER.match(part) for part in parts):
        return None, postal, town, "no_street_number"
    place = postal or town or (f"{state_code(state, nation)} {nation}".strip() if state else None)
    if not place:
        return None, postal, town, "no_place"
    return f"{' '.join(parts)}|{place}", postal, town, None


def _split_line(line: str) -> tuple[str, str, str]:
    """Street, state and country of an address that was written as one line with commas."""
    pieces = [piece.strip() for piece in line.split(",") if piece.strip()]
    country = pieces.pop() if len(pieces) > 2 and country_code(pieces[-1]) else ""
    state = pieces.pop() if len(pieces) > 1 and not any(ch.isdigit() for ch in pieces[-1]) else ""
    return ", ".join(pieces), state, country


def _street_tokens(line: str) -> list[str]:
    """House number first, then the street's words, abbreviated; `Suite 1000` and `# 1000` become `unit 1000`."""
    known, dropped, suffixes = mapping("street_words"), words("street_dropped"), mapping("street_suffixes")
    line = re.sub(r"#\s*(?=\d)", " unit ", line)
    line = re.sub(r"(\d)\s*[-–/]\s*(\d)", r"\1 \2", line)
    found: list[str] = []
    for word in tokens(re.sub(r"(\d+)\s+([a-zA-Z])(?=$|,|\s)(?![a-zA-Z. ])", r"\1\2", line)):
        short = known.get(word) or _suffixed(word, suffixes)
        if word in dropped or short in dropped:
            continue
        found.extend(short.split())
    for index, word in enumerate(found):
        if _NUMBER.match(word) and (index == 0 or found[index - 1] not in ("unit", "rm", "fl")):
            return [word, *found[:index], *found[index + 1 :]]
    return found


def _suffixed(word: str, suffixes: dict[str, str]) -> str:
    # hafenstrasse → hafen st, as Hafen Straße and Hafenstr. become
    for suffix, short in suffixes.items():
        if word.endswith(suffix) and len(word) > len(suffix) + 2:
            return f"{word.removesuffix(suffix)} {short}"
    return word
