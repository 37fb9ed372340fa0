"""Every table and every part that scrolls has a name, and an error or a notice takes the focus."""

import re

import pytest

from tests.conftest import ROOT
from tests.console.world import Console

TEMPLATES = sorted((ROOT / "dunning_pipeline" / "console" / "html").glob("*.html"))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.stem)
def test_tables_and_what_scrolls_have_names(file) -> None:  # type: ignore[no-untyped-def]
    text = file.read_text(encoding="utf-8")
    tables = re.findall(r"<table[^>]*>\s*(?:<caption>)?", text)
    assert [one for one in tables if "aria-label" not in one and "<caption>" not in one] == []
    assert [one for one in re.findall(r'<\w+ class="scroll"[^>]*>', text) if "aria-label" not in one] == []


def test_an_error_takes_the_focus_and_no_field_beside_it(console: Console) -> None:
    page = console.post("/dunning/new", invoice="nothing").text
    assert 'role="alert" tabindex="-1" autofocus' in page
    page = console.client.post("/login", data={"login": "nobody", "password": "x"}).text
    assert page.count("autofocus") == 1 and 'role="alert" tabindex="-1" autofocus' in page


@pytest.mark.parametrize("name", ["findings", "holds", "profile_parts"])
def test_enter_in_a_field_presses_none_of_several_buttons(name: str) -> None:
    (file,) = (one for one in TEMPLATES if one.stem == name)
    forms = re.findall(r"<form[^>]*>.*?</form>", file.read_text(encoding="utf-8"), re.DOTALL)
    of_choice = [one for one in forms if 'name="reason"' in one and len(re.findall(r"<button name=", one)) > 1]
    assert of_choice and [one for one in of_choice if "no_default()" not in one] == []


def test_a_page_that_is_not_there_says_so_in_its_title(console: Console) -> None:
    assert "<title>Nicht gefunden ·" in console.get("/statements/gone?language=de").text
