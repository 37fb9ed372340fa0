"""The validation kit: which labels show that tier B may merge by itself."""

import pytest

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.identity.validation import lower_bound, measured, sample_pairs, verdict
from tests.identity.conftest import Parties


def labels(right: int, wrong: int = 0, rule: str = "address_and_name", tier: str = "B") -> list[dict[str, str]]:
    return [{"rule": rule, "tier": tier, "same": "yes"}] * right + [{"rule": rule, "tier": tier, "same": "no"}] * wrong


def test_three_thousand_pairs_without_an_error_show_three_nines() -> None:
    assert lower_bound(3000, 0) == pytest.approx(0.05 ** (1 / 3000), abs=1e-9)
    assert 0.999 <= lower_bound(3000, 0) < 0.99901
    assert lower_bound(3000, 1) < 0.9985
    assert lower_bound(10, 10) == 0.0


def test_tier_b_is_switched_on_only_by_enough_pairs_without_error() -> None:
    assert verdict(measured(labels(3000)))[0]
    may, why = verdict(measured(labels(2999)))
    assert not may and "label 1 more" in why
    assert not verdict(measured(labels(9999, 1)))[0]
    assert not verdict(measured(labels(5000, tier="A")))[0]


def test_an_unreadable_label_is_refused_with_its_line() -> None:
    with pytest.raises(InvalidInput, match="neither yes nor no") as error:
        measured([*labels(2), {"rule": "x", "tier": "B", "same": "maybe"}])
    assert error.value.line == 4


def test_the_sample_takes_from_every_rule_and_a_seed_repeats_it(parties: Parties) -> None:
    for n in range(6):
        parties.contact(f"a{n}", first_name="Jane", last_name="Doe", email=f"jane{n // 2}@doe.org")
        parties.contact(f"b{n}", first_name="Pete", last_name="Moss", postal_code=str(20457 + n // 2))
    parties.resolve()

    drawn = sample_pairs(parties.con, kind="individual", pairs=4, seed=1)

    assert {row["rule"] for row in drawn} == {"email_and_name", "postal_code_and_same_name"}
    assert len(drawn) == 4 and all("Doe" in row["left"] or "Moss" in row["left"] for row in drawn)
    assert drawn == sample_pairs(parties.con, kind="individual", pairs=4, seed=1)
