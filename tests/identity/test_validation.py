"""The validation kit: which labels show that tier B may merge by itself."""

from pathlib import Path

import pytest

from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.identity.validation import labelled_rows, lower_bound, measured, sample_pairs, verdict
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


HEAD = "pair_id,rule,tier,confidence,left_record,right_record,left,right,same"
ROWS = [
    '1,address_and_name,B,0.98,a:1,b:1,"Müller, Bau",Mueller,yes',
    "2,address_and_name,B,0.98,a:2,b:2,x,y,",
    "3,vat_id_and_name,A,0.99,a:3,b:3,x,y,no",
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "sep"])
def test_labels_are_read_as_a_spreadsheet_leaves_them(encoding: str, separator: str, tmp_path: Path) -> None:
    sign = ";" if separator == "sep" else separator
    lines = [line.replace("Müller, Bau", "Müller Bau").replace(",", sign) for line in (HEAD, *ROWS)]
    lines = [
        line.replace("0.9", "0,9").replace("yes", "WAHR").replace("no", "nein") if sign == ";" else line
        for line in lines
    ]
    file = tmp_path / "pairs.csv"
    file.write_bytes("\r\n".join(["sep=;"] * (separator == "sep") + lines + [""]).encode(encoding))

    rows = labelled_rows(file)
    assert [row["left"] for row in rows] == ["Müller Bau", "x", "x"]
    assert [row["line"] for row in rows] == ([3, 4, 5] if separator == "sep" else [2, 3, 4])
    if sign == ";":  # there, the labels are German, too
        assert [(r.rule, r.pairs, r.errors) for r in measured(rows)] == [
            ("vat_id_and_name", 1, 1),
            ("address_and_name", 1, 0),
        ]


def test_a_file_without_its_head_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(ROWS), encoding="utf-8")
    with pytest.raises(
        InvalidInput, match="the columns rule, tier, left_record, right_record, same are missing"
    ) as caught:
        labelled_rows(file)
    assert (caught.value.file, caught.value.line) == (file, 1)


def test_a_pair_counts_once_and_has_one_label() -> None:
    row = {"rule": "r", "tier": "B", "left_record": "a:1", "right_record": "b:1", "same": "ja"}
    assert [result.pairs for result in measured([row, {**row, "same": "Y"}])] == [1]
    with pytest.raises(InvalidInput, match="another label in line 2") as caught:
        measured([row, {**row, "same": "nein"}])
    assert caught.value.line == 3
