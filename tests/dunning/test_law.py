"""Law packs: what ships is sourced and ordered, imports extend it and refuse contradictions."""

import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from dunning_pipeline.errors import InvalidDeclaration, InvalidInput, NotThere
from dunning_pipeline.law.packs import import_rates, load_laws
from dunning_pipeline.settings.workspace import Workspace
from tests.dunning.world import COMPANY, ROOT


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "company.yaml").write_text(COMPANY, encoding="utf-8")
    shutil.copytree(ROOT / "policies" / "law", tmp_path / "policies" / "law")
    return Workspace(tmp_path)


def test_what_ships_says_how_far_it_is_known(ws: Workspace) -> None:
    laws = {code: declared.pack for code, declared in load_laws(ws).items()}

    assert {code: pack.known_until for code, pack in laws.items()} == {
        "DE": date(2026, 6, 30), "EU": date(2025, 12, 31), "UK": date(2025, 12, 31), "US": None,
    }  # fmt: skip
    assert all(pack.source and pack.basis for pack in laws.values())
    german = {rate.valid_from: rate.percent for rate in laws["DE"].rates}
    assert (german[date(2021, 1, 1)], german[date(2025, 7, 1)]) == (Decimal("-0.88"), Decimal("1.27"))


def test_the_shipped_rates_are_those_of_the_sources(ws: Workspace, shared_data: Path) -> None:
    text = (shared_data / "legal" / "de_basiszins_bundesbank_semicolon_comma.csv").read_text(encoding="utf-8")
    official = {}
    for line in text.splitlines()[1:]:
        percent, day = line.split(";")
        official["-".join(reversed(day.split(".")))] = Decimal(percent.replace(",", "."))
    shipped = {rate.valid_from.isoformat(): rate.percent for rate in load_laws(ws)["DE"].pack.rates}
    assert official.items() <= shipped.items()


def test_an_import_extends_the_pack_and_keeps_its_comments(ws: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rates.csv"
    file.write_text("from,percent\n2025-07-01,1.27\n2026-07-01,1.52\n", encoding="utf-8")

    text = (ws.policies / "law" / "de.yaml").read_text(encoding="utf-8")

    added = import_rates(ws, law="de", file=file, known_until=date(2026, 12, 31), source="Bundesbank, 2026-07-01")
    assert added == 1  # the first was known already
    pack = load_laws(ws)["DE"].pack
    assert (pack.known_until, pack.rates[-1].percent) == (date(2026, 12, 31), Decimal("1.52"))
    assert pack.rates[-1].source == "Bundesbank, 2026-07-01"
    row = "  - {from: 2026-07-01, percent: 1.52, source: 'Bundesbank, 2026-07-01'}\n"
    extended = text.replace("known_until: 2026-06-30", "known_until: 2026-12-31") + row  # nothing else has changed
    assert (ws.policies / "law" / "de.yaml").read_text(encoding="utf-8") == extended
    assert import_rates(ws, law="de", file=file, known_until=date(2026, 12, 31), source="x") == 0


@pytest.mark.parametrize("row", ["2025-07-01,9.99", "01.07.2026,1", "2026-07-01,1,5", "2026-07-01,", "2026-08-01,1.2"])
def test_a_wrong_row_is_refused_with_its_line_and_nothing_is_written(ws: Workspace, tmp_path: Path, row: str) -> None:
    file = tmp_path / "rates.csv"
    file.write_text(f"from,percent\n2026-08-01,1.1\n{row}\n", encoding="utf-8")
    before = (ws.policies / "law" / "de.yaml").read_bytes()

    with pytest.raises(InvalidInput) as caught:
        import_rates(ws, law="DE", file=file, known_until=date(2026, 12, 31), source="x")
    assert caught.value.line == 3
    assert (ws.policies / "law" / "de.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("law", "rows", "until", "source", "why"),
    [
        ("DE", "2026-07-01,1.5", date(2025, 12, 31), "x", "known until 2026-06-30 already"),
        ("DE", "2027-07-01,1.5", date(2027, 6, 30), "x", "before the last rate"),
        ("DE", "2026-07-01,1.5", date(2026, 12, 31), " ", "official source"),
        ("DE", "", date(2026, 12, 31), "x", "no rates in this file"),
        ("US", "2026-07-01,1.5", date(2026, 12, 31), "x", "no interest by law"),
    ],
)
def test_an_import_that_would_make_the_pack_worse_is_refused(
    ws: Workspace, tmp_path: Path, law: str, rows: str, until: date, source: str, why: str
) -> None:
    (tmp_path / "rates.csv").write_text(f"from,percent\n{rows}", encoding="utf-8")
    pack = ws.policies / "law" / f"{law.lower()}.yaml"
    before = pack.read_bytes()

    with pytest.raises(InvalidInput, match=why):
        import_rates(ws, law=law, file=tmp_path / "rates.csv", known_until=until, source=source)
    assert pack.read_bytes() == before


def test_unordered_rates_and_unknown_laws_are_told(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="no law pack 'XX'"):
        import_rates(ws, law="XX", file=tmp_path, known_until=date(2026, 1, 1), source="x")
    pack = ws.policies / "law" / "us.yaml"
    text = pack.read_text(encoding="utf-8").replace(
        "rates: []", "rates:\n  - {from: 2025-01-01, percent: 1}\n  - {from: 2024-01-01, percent: 2}"
    )
    pack.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidDeclaration) as caught:
        load_laws(ws)
    assert caught.value.line == text.splitlines().index("  - {from: 2024-01-01, percent: 2}") + 1
