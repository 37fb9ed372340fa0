"""Official identifiers of companies: format and check digits of tax, VAT, registry and LEI numbers."""
# ruff: noqa: E501  (statements of SQL and rows of data stay on one line)

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

from stdnum.util import get_cc_module

from dunning_pipeline.identity.values.places import country_code
from dunning_pipeline.identity.values.words import cleaned

_SIGNS = re.compile(r"[^A-Z0-9]+")
_REPEATED = re.compile(r"^(.)\1*$")
_VAT = re.compile(r"^([A-Z]{2})([A-Z0-9]{6,14})$")
# national tax numbers that have check digits; others are compared as written
_NATIONAL = {"US": ("us.ein", "us.tin"), "ES": ("es.nif",), "FR": ("fr.siren", "fr.siret"), "PL": ("pl.nip",), "GB": ("gb.utr",),
             "IT": ("it.iva",), "AU": ("au.abn",), "CA": ("ca.bn",), "CH": ("ch.uid",), "BR": ("br.cnpj",)}  # fmt: skip


def normalised_official_id(kind: str, raw: str, country: str) -> tuple[str | None, str | None]:
    """(value, problem) of a `tax_id`, `vat_id`, `registry_number` or `lei`; the value names its country where it can.

    problem: empty, null_like, invalid (wrong check digits: such a number identifies nobody).
    """
    text = _SIGNS.sub("", cleaned(raw).upper())
    if not text:
        return None, "null_like" if raw.strip() else "empty"
    if len(text) < 4 or _REPEATED.match(text) or text in ("123456789", "1234567890", "12345678", "123456"):
        return None, "null_like"
    nation = country_code(country)
    if kind == "lei":
        return (text, None) if _is_valid("lei", text) else (None, "invalid")
    if kind == "registry_number":
        return f"{nation}:{text}", None
    vat = _vat(text, nation) if kind in ("vat_id", "tax_id") else None
    if vat is not None:
        return vat
    return _national(text, nation)


def _vat(text: str, nation: str) -> tuple[str | None, str | None] | None:
    match = _VAT.match(text)
    prefix = "GR" if match and match[1] == "EL" else match[1] if match else ""
    if prefix and _module(f"{prefix.lower()}.vat") is not None:
        return (f"VAT:{text}", None) if _is_valid(f"{prefix.lower()}.vat", text) else (None, "invalid")
    if nation and _module(f"{nation.lower()}.vat") is not None and _is_valid(f"{nation.lower()}.vat", text):
        return f"VAT:{nation}{text}", None
    return None


def _national(text: str, nation: str) -> tuple[str | None, str | None]:
    checks = _NATIONAL.get(nation, ())
    if checks and not any(_is_valid(check, text) for check in checks):
        return None, "invalid"
    return f"{nation}:{text}", None


@cache
def _module(name: str) -> Any:
    country, _, number = name.rpartition(".")
    # most countries call their VAT number otherwise: stdnum.fr.vat is the name of stdnum.fr.tva inside its package
    if country:
        return get_cc_module(country, number)
    return import_module(f"stdnum.{number}")


def _is_valid(name: str, text: str) -> bool:
    module = _module(name)
    check: Callable[[str], bool] | None = getattr(module, "is_valid", None)
    return bool(check and check(text))
