"""Countries and states as ISO codes, from the many ways in which people write them."""

from functools import cache

from dunning_pipeline.identity.values.words import table, tokens


@cache
def country_code(text: str | None) -> str:
    """ISO alpha-2 of a country as written, '' where it cannot be told."""
    written = (text or "").strip()
    plain = " ".join(tokens(written))
    known = _countries().get(plain)
    if known:
        return known
    return written.upper() if len(written) == 2 and written.isalpha() else ""


@cache
def state_code(text: str | None, country: str) -> str:
    """Code of a state or province, `ON` for Ontario; the words themselves where no table has them."""
    plain = " ".join(tokens(text or ""))
    tables = table("places")["states"]
    for code in (country,) if country in tables else tuple(tables):
        if plain in tables[code]:
            return str(tables[code][plain])
    return plain.upper()


@cache
def _countries() -> dict[str, str]:
    return {str(name): str(code) for name, code in table("places")["countries"].items()}
