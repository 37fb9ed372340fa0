"""Postal addresses as the post of each country wants them."""

from collections.abc import Mapping
from typing import Any

from babel import Locale

_US_LETTER = frozenset({"US", "CA", "MX", "PH", "CL", "CO", "VE", "CR", "GT", "PA", "DO", "NI", "SV"})


def uses_us_letter(country: str) -> bool:
    """True where letters are printed on US letter paper (#10 window envelopes)."""
    return country in _US_LETTER


def postal_lines(address: Mapping[str, Any], from_country: str, locale: str) -> list[str]:
    """The address block: name, street lines, town line by country, and the country where the letter goes abroad."""
    country = (address.get("country") or "").strip()
    code = country.upper() if len(country) == 2 else ""
    street = [line.strip() for line in (address.get("street") or "").replace("\r", "").split("\n") if line.strip()]
    lines = [address.get("name"), *street, *_town(address, code)]
    if country and code != from_country:
        lines.append((Locale.parse(locale).territories.get(code) or country).upper())
    return [line for line in lines if line]


def sender_line(company: Mapping[str, Any]) -> str:
    """The small line above the address in the envelope's window."""
    address = company["address"]
    return " · ".join([company["name"], address["street"], *town_lines(address)])


def town_lines(address: Mapping[str, Any]) -> list[str]:
    """Town, state and postal code in the order of the address's own country."""
    return [line for line in _town(address, (address.get("country") or "").upper()) if line]


def _town(address: Mapping[str, Any], code: str) -> list[str]:
    city, post, state = (address.get(name) or "" for name in ("city", "postal_code", "state"))
    if code in ("US", "CA", "AU"):
        return [" ".join(filter(None, (f"{city}," if code == "US" and city and state else city, state, post)))]
    if code in ("GB", "IE"):
        return [city, post]
    if code == "JP":
        return [f"〒{post}" if post else "", f"{state}{city}"]
    if code == "IT" and state:
        return [f"{post} {city} ({state})".strip()]
    return [f"{post} {city}".strip()]
