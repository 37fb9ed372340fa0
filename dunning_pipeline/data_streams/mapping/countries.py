"""The macro mapped.country_code: a country's name or code, as people write it, to its ISO 3166 alpha-2 code."""

import re
from functools import cache

import duckdb

from dunning_pipeline.sql_models.inserting import insert_rows

# as people write them; names in the listed languages come from CLDR
_SPOKEN = {
    "usa": "US", "u.s.a.": "US", "u.s.": "US", "united states of america": "US", "america": "US",
    "uk": "GB", "u.k.": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB",
    "northern ireland": "GB", "holland": "NL", "the netherlands": "NL", "czech republic": "CZ", "tschechien": "CZ",
    "brd": "DE", "russia": "RU", "south korea": "KR", "korea": "KR", "turkey": "TR", "türkei": "TR", "turkei": "TR",
}  # fmt: skip
_NO_COUNTRIES = ("EU", "EZ", "UN", "ZZ", "XA", "XB", "QO")
_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pt", "pl")


@cache
def country_names() -> dict[str, str]:
    """Lower-case names, alpha-3 and alpha-2 codes → alpha-2 code."""
    from babel import Locale
    from rigour.territories import get_territories

    names: dict[str, str] = {}
    codes = [
        str(code)
        for code in Locale("en").territories
        if re.fullmatch("[A-Z]{2}", str(code)) and code not in _NO_COUNTRIES
    ]
    for language in _LANGUAGES:
        territories = Locale(language).territories
        for code in codes:
            if code in territories:
                names.setdefault(territories[code].lower(), code)
    for territory in get_territories():
        if territory.alpha3 and len(territory.code) == 2:
            names[territory.alpha3.lower()] = territory.code.upper()
    names.update({code.lower(): code for code in codes})
    names.update(_SPOKEN)
    return names


def create_country_macro(con: duckdb.DuckDBPyConnection) -> None:
    """Create landing._countries once per version of the list, and the macro over it."""
    names = country_names()
    con.execute("create table if not exists landing._countries (name varchar, code varchar)")
    if con.execute("select count(*) from landing._countries").fetchone() != (len(names),):
        con.execute("delete from landing._countries")
        insert_rows(con, "landing._countries", list(names.items()))
    con.execute(
        "create or replace macro mapped.country_code(written) as coalesce("
        "(select code from landing._countries where name = lower(trim(written))), nullif(trim(written), ''))"
    )
