"""Declarations are read strictly, and every mistake is answered with its place and a remedy."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dunning_pipeline.errors import InvalidDeclaration, InvalidInput, NotThere
from dunning_pipeline.settings.clock import business_date, business_now
from dunning_pipeline.settings.company import load_company
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.settings.yaml_files import read_yaml, validated

GOOD = """\
name: ACME GmbH
address: {street: Weg 1, postal_code: "10115", city: Berlin, country: DE}
country: DE
time_zone: Europe/Berlin
email_from: ar@acme.example
"""


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "company.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_company_needs_little(tmp_path: Path) -> None:
    assert load_company(write(tmp_path, GOOD)).send_hour == 3


def test_all_mistakes_are_named_at_once_each_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.replace("Europe/Berlin", "Berlin") + "send_hour: 25\ncolour: red\n")
    with pytest.raises(InvalidDeclaration) as caught:
        load_company(file)
    text = str(caught.value)
    assert f"{file}:4:1" in text and "IANA" in text
    assert f"{file}:6:1" in text and f"{file}:7:1" in text and "unknown key 'colour'" in text


def test_a_broken_yaml_file_names_line_and_column(tmp_path: Path) -> None:
    file = write(tmp_path, "name: [ACME\naddress: x\n")
    with pytest.raises(InvalidDeclaration) as caught:
        load_company(file)
    assert caught.value.line == 2 and caught.value.file == file


@pytest.mark.parametrize("more", ["", "note: &mark text\n"], ids=["read quickly", "read by ruamel"])
def test_a_date_that_does_not_exist_is_a_mistake_of_its_file(tmp_path: Path, more: str) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(f"{more}name: plan\nat: 2026-13-01\n")

    class Plan(BaseModel):
        at: date

    with pytest.raises(InvalidDeclaration, match=r"plan\.yaml") as caught:
        validated(Plan, read_yaml(file), file)
    assert more or (caught.value.line, caught.value.column) == (2, 1)


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDeclaration, match="duplicate key"):
        load_company(write(tmp_path, GOOD + "country: FR\n"))


def test_a_folder_without_policies_is_no_workspace(tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="dunning init"):
        Workspace(tmp_path)


def test_the_business_date_follows_the_companys_zone_not_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", "2013-01-31T23:30:00+00:00")
    assert business_date("Europe/Berlin") == date(2013, 2, 1)
    assert business_date("America/New_York") == date(2013, 1, 31)


@pytest.mark.parametrize("text", ["yesterday", "2013-01-31", "2013-01-31T09:00:00"])
def test_a_business_instant_without_offset_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DUNNING_NOW", text)
    with pytest.raises(InvalidInput, match="DUNNING_NOW"):
        business_now()


def test_a_quick_tree_is_the_tree_that_ruamel_makes() -> None:
    from ruamel.yaml import YAML

    from dunning_pipeline.settings.yaml_files import plain, position
    from dunning_pipeline.settings.yaml_trees import NOT_PLAIN, quick_tree

    def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], tuple[int, int]]]:
        steps = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
        inner = [place for step in steps for place in places(tree[step], (*path, step))]
        return [*inner, (path, position(whole, path))]

    root = Path(__file__).parents[1]
    files = [file for folder in ("policies", "dbt_like_sql") for file in (root / folder).rglob("*.y*ml")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    texts.append("a: no\nb: 007\nc: 1e3\nd: 2025-11-03\ne: |\n  two\n  lines\nf: 'true'\ng: -0.50\nh: [~, on, 0x1F]\n")
    assert len(texts) > 20
    for text in texts:
        whole = quick = quick_tree(text)
        assert quick is not NOT_PLAIN
        quick_places = places(quick)
        whole = slow = YAML(typ="rt").load(text)
        assert plain(quick) == plain(slow) and places(slow) == quick_places


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "a: &x 1\nb: *x\n", "a: !t 1\n", "a: [1\n", "<<: {a: 1}\n"])
def test_what_two_parsers_might_read_differently_is_left_to_one(text: str) -> None:
    from dunning_pipeline.settings.yaml_trees import NOT_PLAIN, quick_tree

    assert quick_tree(text) is NOT_PLAIN
