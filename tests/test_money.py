"""Money is exact in its currency's minor units, and every conversion goes through one function."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.money import amount_text, from_minor, minor_unit, to_minor


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.345", "EUR", 1235),
        ("-12.345", "EUR", -1235),
        ("12.5", "JPY", 13),
        ("1.2345", "KWD", 1235),
        ("0.09", "EUR", 9),
    ],
)
def test_rounds_half_up_once_in_the_currencys_minor_unit(amount: str, currency: str, minor: int) -> None:
    assert to_minor(amount, currency) == minor


@given(st.integers(min_value=-(10**17), max_value=10**17), st.sampled_from(["EUR", "JPY", "KWD", "USD", "GBP"]))
def test_minor_units_survive_the_way_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor
    assert to_minor(amount_text(minor, currency), currency) == minor


def test_a_float_is_never_an_amount() -> None:
    with pytest.raises(TypeError):
        to_minor(0.1, "EUR")  # type: ignore[arg-type]


def test_an_unknown_currency_says_what_to_do() -> None:
    with pytest.raises(InvalidInput, match="ISO 4217"):
        minor_unit("EURO")


def test_json_amounts_show_the_currencys_decimals() -> None:
    assert [amount_text(652296, "EUR"), amount_text(500, "JPY"), amount_text(-5, "KWD")] == ["6522.96", "500", "-0.005"]
