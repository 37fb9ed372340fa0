"""German pages hold no English word: neither what pages ask for nor what the product calls acts, kinds and reasons."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest

from dunning_pipeline.console import wording
from dunning_pipeline.console.jobs import ACTIONS
from dunning_pipeline.dunning.reasons import REASONS
from dunning_pipeline.statements.drafting.editing import CHANNELS
from tests.conftest import ROOT
from tests.console.world import NOW, Console

GERMAN = json.loads((ROOT / "dunning_pipeline/console/words/de.json").read_text(encoding="utf-8"))
START = ("/", "/statements", "/statements/st-kim", "/statements/st-kim/edit", "/statements/st-kim/send", "/sends",
         "/sends/sd-kim", "/findings", "/accounts", "/accounts/s:kim", "/accounts/s:kim/holds", "/audit", "/users",
         "/runs", "/segments", "/campaigns", "/calendar", "/calendar?view=week",
         "/consent", "/reports", "/processes", "/processes/standard", "/jobs", "/simulate", "/dunning/new", "/password",
         "/templates/friendly_reminder/de",
         "/plans/s:p-kim", "/search?q=kim", "/statements/gone")  # fmt: skip
# not words: figures, dates, addresses, names and keys of the world's two accounts
DATA = re.compile(
    r"[\W\d]*|.*(script|kim|lee|\d{2}\.\d{2}|@|:).*|EUR|USD|s|t|x|odd|why|U-\w+", re.IGNORECASE | re.DOTALL
)


class Listening(dict[str, str]):
    """The German words; notes which were asked for and are not there."""

    def __init__(self, words: dict[str, str]) -> None:
        super().__init__(words)
        self.missed: set[str] = set()

    def get(self, word: str, default: str | None = None) -> str | None:  # type: ignore[override]
        if word not in self and not DATA.fullmatch(word):
            self.missed.add(word)
        return super().get(word, default)


def test_no_page_asks_for_a_word_that_german_does_not_have(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUNNING_NOW", NOW.isoformat())
    words = Listening(GERMAN)
    monkeypatch.setattr(wording, "_words", lambda language: words if language == "de" else {})
    wording._badge.cache_clear()
    for path in START:
        page = console.get(path + ("&" if "?" in path else "?") + "language=de")
        assert page.status_code in (200, 404) and '<html lang="de">' in page.text, path
    assert words.missed == set()
    assert len(words) > 500  # the listening dictionary was the one in use


@cache
def calls() -> list[ast.Call]:
    """Every call in the product's Python."""
    files = sorted((ROOT / "dunning_pipeline").rglob("*.py"))
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]


def constants(keyword: str, *names: str) -> Iterator[str]:
    """The constant values of a keyword over all calls of these names in the product."""
    for node in calls():
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for given in node.keywords:
            if name in names and given.arg == keyword and isinstance(given.value, ast.Constant):
                yield str(given.value.value)


def spoken(names: Iterator[str] | set[str]) -> set[str]:
    return {name.replace("_", " ") for name in names}


def test_acts_kinds_reasons_and_channels_have_german_names() -> None:
    acts = set(constants("action", "record", "audit_many")) | {f"job.{name}" for name in ACTIONS if name != "none"}
    kinds = set(constants("kind", "raise_finding"))
    text = (ROOT / "dbt_like_sql/dunning/decision_findings.sql").read_text(encoding="utf-8")
    kinds |= set(re.findall(r"'([a-z_]+)'(?: as kind)?,\s*'(?:error|warning|info)'", text))
    assert len(acts) > 15 and {"balance_differs", "no_channel"} <= kinds
    objects = set(constants("object_kind", "record", "raise_finding"))
    for names in (acts, kinds, objects, set(REASONS), set(CHANNELS), set(ACTIONS) - {"none"}):
        assert sorted(spoken(names) - set(GERMAN)) == []
