"""The console speaks German as completely as English."""

import json
import re
from pathlib import Path

from dunning_pipeline.console.wording import WORDS, Wording

CONSOLE = WORDS.parent


def words_of_the_pages() -> set[str]:
    found: set[str] = set()
    for page in (CONSOLE / "html").glob("*.html"):
        found |= set(re.findall(r"""\bt\("([^"]+)"[,)]""", page.read_text(encoding="utf-8")))
    for code in CONSOLE.rglob("*.py"):
        text = code.read_text(encoding="utf-8")
        found |= set(re.findall(r"""wording\.text\(\s*"([^"]+)\"""", text))
        found |= set(re.findall(r"""_back\(desk, account, "([^"]+)\"""", text))
    return found


def test_every_word_of_the_pages_has_a_german_one_with_the_same_blanks() -> None:
    german = json.loads((WORDS / "de.json").read_text(encoding="utf-8"))
    missing = sorted(words_of_the_pages() - set(german))
    assert not missing
    assert [e for e, d in german.items() if set(re.findall(r"{\w+}", e)) != set(re.findall(r"{\w+}", d))] == []


def test_money_dates_and_numbers_follow_the_language() -> None:
    german, english = Wording("de-AT"), Wording("en")
    assert german.money(652296, "EUR") == "6.522,96\xa0€" and english.money(652296, "EUR") == "€6,522.96"
    assert english.money(500, "JPY") == "¥500" and german.money(None, "EUR") == ""
    assert german.day("2025-11-03") == "03.11.2025"
    assert Path(WORDS / "de.json").is_file()
