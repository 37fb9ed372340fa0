"""German pages hold no English word: neither what pages ask for nor what the product calls acts, kinds and reasons."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

import pytest
from sqlalchemy import insert, update

from dunning_pipeline.console import wording
from dunning_pipeline.console.jobs import ACTIONS
from dunning_pipeline.dunning.reasons import REASONS
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.identifiers import new_id
from dunning_pipeline.ledger.schema import blocks, statements
from dunning_pipeline.statements.drafting.editing import CHANNELS
from tests.conftest import ROOT
from tests.console.world import NOW, Console

GERMAN = json.loads((ROOT / "dunning_pipeline/console/words/de.json").read_text(encoding="utf-8"))
START = ("/", "/statements", "/statements/st-kim", "/statements/st-kim/edit", "/statements/st-kim/send", "/sends",
         "/sends/sd-kim", "/findings", "/accounts", "/accounts/s:kim", "/accounts/s:kim/holds", "/audit", "/users",
         "/runs", "/segments", "/campaigns", "/calendar", "/calendar?view=week",
         "/consent", "/reports", "/processes", "/processes/standard", "/jobs", "/simulate", "/dunning/new", "/password",
         "/templates/friendly_reminder/de",
         "/plans/s:p-kim", "/profiles", "/search?q=kim", "/statements/gone")  # fmt: skip
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


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("amount changed: s:i-kim: 920.82 EUR when written, 0.00 EUR now",
         "Betrag geändert: s:i-kim: 920,82\xa0€ laut Nachricht, jetzt 0,00\xa0€"),
        ("amount changed: credits: 0.00 EUR when written, 5.00 EUR now",
         "Betrag geändert: Guthaben: 0,00\xa0€ laut Nachricht, jetzt 5,00\xa0€"),
        ("amount changed: s:i-kim is not in the books any more",
         "Betrag geändert: s:i-kim steht nicht mehr in den Büchern"),
        ("recipient changed: the source does not name a@x.example any more",
         "Empfänger geändert: die Quelle nennt a@x.example nicht mehr"),
        ("owner changed: s:i-kim belongs to account s:lee now", "anderes Konto: s:i-kim gehört jetzt zum Konto s:lee"),
        ("not sent in time: it asks to pay by 2025-11-01",
         "nicht rechtzeitig gesendet: sie bittet um Zahlung bis 01.11.2025"),
    ],
)  # fmt: skip
def test_why_delivery_voided_a_statement_is_told_in_german(console: Console, reason: str, told: str) -> None:
    closed = statements.c.statement_id == "st-closed"
    with console.app.state.engine.begin() as connection:
        connection.execute(update(statements).where(closed).values(void_reason=reason))
        audit.record(
            connection, actor="delivery", action="statement.void", object_kind="statement", object_id="st-closed",
            reason=reason, at=NOW,
        )  # fmt: skip
        connection.execute(
            insert(blocks).values(
                block_id=new_id(), scope="account", target_key="s:kim", kind="pause", reason=reason,
                valid_from=NOW.date(), created_at=NOW, created_by="build",
            )
        )  # fmt: skip
    for path, times in (
        ("/statements/st-closed", 2),
        ("/accounts/s:kim", 2),
        ("/accounts/s:kim/holds", 1),
        ("/audit", 1),
    ):
        page = console.get(f"{path}?language=de").text
        assert page.count(told) >= times and reason not in page, path


@pytest.mark.parametrize("file", ["de.json", "sentences.de.json"])
def test_nothing_has_two_german_names(file: str) -> None:
    text = (ROOT / "dunning_pipeline/console/words" / file).read_text(encoding="utf-8")
    names = [name for name, _ in json.loads(text, object_pairs_hook=list)]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []
