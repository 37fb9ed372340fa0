"""Money is exact: DECIMAL major units in the warehouse, integer minor units in the ledger, converted only here."""

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from dunning_pipeline.errors import InvalidInput

# ISO 4217 (list one): the currencies whose minor unit is not 2. Any other three-letter code in `currencies()` has 2.
_MINOR_UNITS_NOT_TWO = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


@cache
def minor_unit(currency: str) -> int:
    """Number of decimals of an ISO 4217 currency: JPY 0, EUR 2, KWD 3.

    Raises InvalidInput for a code that ISO 4217 (as known to CLDR) does not list.
    """
    from babel.core import get_global

    if currency in _MINOR_UNITS_NOT_TWO:
        return _MINOR_UNITS_NOT_TWO[currency]
    if currency not in get_global("all_currencies"):
        raise InvalidInput(
            f"{currency!r} is not an ISO 4217 currency code", remedy="use a code such as EUR, USD or JPY"
        )
    return 2


def to_minor(amount: Decimal | int | str, currency: str) -> int:
    """Major units (12.34) → integer minor units (1234), rounded half up once (away from zero for negatives)."""
    if isinstance(amount, float):
        raise TypeError("amounts are never floats")
    scaled = Decimal(amount).scaleb(minor_unit(currency))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Integer minor units (1234) → major units with the currency's decimals (Decimal('12.34'))."""
    return Decimal(amount_minor).scaleb(-minor_unit(currency))


def amount_text(amount_minor: int, currency: str) -> str:
    """Minor units as the plain decimal string of the JSON interfaces: 652296, 'EUR' → '6522.96'."""
    decimals = minor_unit(currency)
    if not decimals:
        return str(amount_minor)
    digits = str(abs(amount_minor)).zfill(decimals + 1)
    return f"{'-' if amount_minor < 0 else ''}{digits[:-decimals]}.{digits[-decimals:]}"


@cache
def known_currencies() -> dict[str, int]:
    """Every ISO 4217 code known here and its number of decimals."""
    from babel.core import get_global

    return {code: minor_unit(code) for code in sorted({*get_global("all_currencies"), *_MINOR_UNITS_NOT_TWO})}
