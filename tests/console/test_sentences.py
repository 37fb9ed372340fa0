"""What other rooms say (errors, findings, reasons) is told in German too, money and dates as the reader writes them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dunning_pipeline.console.remedies import for_clerk
from dunning_pipeline.console.sentences import fact, known_sentences, said
from dunning_pipeline.console.wording import Wording
from dunning_pipeline.delivery.holds import HELD, explained
from dunning_pipeline.dunning.reasons import REASONS
from tests.conftest import ROOT
from tests.console.world import Console

PRODUCT = ROOT / "dunning_pipeline"
# rooms whose errors a clerk can meet; those of declarations, servers and providers are met by who runs the system
ROOMS = [
    *sorted((PRODUCT / "console").rglob("*.py")),
    *sorted((PRODUCT / "statements").rglob("*.py")),
    *sorted((PRODUCT / "delivery" / "permission").glob("*.py")),
    *sorted((PRODUCT / "delivery" / "working").glob("*.py")),
    *(PRODUCT / "delivery" / f"{name}.py" for name in ("queue", "payments")),
    PRODUCT / "delivery" / "events" / "bounces.py",
    *(PRODUCT / "campaigns" / f"{name}.py" for name in ("steering", "running", "plan_sending", "calendar")),
    PRODUCT / "ledger" / "findings.py",
    PRODUCT / "identity" / "history.py",
    PRODUCT / "data_streams" / "renaming" / "following.py",
    *(PRODUCT / "reports").glob("*.py"),
]
ERRORS = {"InvalidInput", "Refused", "NotThere", "Busy", "HTTPException"}
# what stays in English: names of options and commands, and messages that are made of other messages
OURS = ("`dunning", "DUNNING_", "pip install", "install ")


def filled(node: ast.expr) -> Iterator[str]:
    """The texts of an expression, every blank filled with a word or, where it is named so, an amount or a day."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [str(p.value) if isinstance(p, ast.Constant) else blank(ast.unparse(p)) for p in node.values]
        yield "".join(parts)
    elif isinstance(node, ast.IfExp):
        yield from filled(node.body)
        yield from filled(node.orelse)


def blank(source: str) -> str:
    if "currency" in source:
        return "EUR"
    return "7.00" if "owed" in source or "limit" in source.lower() or "amount" in source else "Zebra"


def texts_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in ERRORS:
            for argument in node.args[1:] if name == "HTTPException" else node.args[:1]:
                yield from filled(argument)
        for keyword in node.keywords:
            if (name in ERRORS and keyword.arg == "remedy") or (name == "raise_finding" and keyword.arg == "message"):
                yield from filled(keyword.value)


@pytest.mark.parametrize("file", ROOMS, ids=lambda file: str(file.relative_to(PRODUCT)))
def test_every_sentence_that_a_clerk_can_meet_has_a_german_one(file: Path) -> None:
    texts = {text for text in texts_of(file) if not text.startswith(OURS) and text.replace("Zebra", "").strip(" ;:")}
    assert sorted(text for text in texts if said(for_clerk(text), "de") == said(for_clerk(text), "en")) == []


def test_every_reason_has_a_german_sentence() -> None:
    amounts = ("open_amount", "account_credit", "unit_dunnable", "unit_open", "tolerance")

    class Values(dict[str, str]):
        def __missing__(self, name: str) -> str:
            return "7.00" if name in amounts else "EUR" if name == "currency" else "3"

    for reason in REASONS.values():
        text = reason.words.format_map(Values())
        assert said(text, "de") != said(text, "en"), text
        assert "7.00" not in said(text, "de")


@pytest.mark.parametrize("reason", HELD)
def test_every_hold_of_a_message_is_told_in_german(reason: str) -> None:
    for text in (reason, *HELD[reason]):
        assert not text or said(for_clerk(text), "de") != said(for_clerk(text), "en"), text


def test_what_is_wrong_with_an_address_is_told_in_german() -> None:
    held = {"status": "held", "reason": "invalid_address", "channel": "email", "recipients": {"to": ["bad@"]}}
    words, remedy = explained(held) or ("", "")
    assert (said(words, "en"), said(words, "de")) == (
        "not an e-mail address: There must be something after the @-sign. (bad@)",
        "keine E-Mail-Adresse: nach dem @ muss etwas stehen (bad@)",
    )
    assert said(for_clerk(remedy), "de") == (
        "berichtigen Sie sie in der Quelle; eine andere erreicht jetzt die Seite „Mahnungen“"
    )
    why = "ACME cannot be reached (invalid_address: not an e-mail address: An email address must have an @-sign. (x))"
    assert said(why, "de") == ("ACME ist nicht zu erreichen (ungültige Adresse: keine E-Mail-Adresse: das @ fehlt (x))")


def test_blanks_of_both_languages_are_the_same() -> None:
    for english, german in known_sentences("de").items():
        blanks = {f"{{{n}}}" for n in range(9) if f"{{{n}}}" in english}
        assert blanks == {f"{{{n}}}" for n in range(9) if f"{{{n}}}" in german}, english


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        (
            "the source says 2191.9800 EUR is open, the entries say 0.0000 EUR",
            "the source says €2,191.98 is open, the entries say €0.00",
            "die Quelle sagt, 2.191,98\xa0€ ist offen, die Buchungen sagen 0,00\xa0€",
        ),
        (
            "the source says 2191.0000 JPY is open, the entries say 12.5000",  # as older ledgers hold it
            "the source says ¥2,191 is open, the entries say 12.50",
            "die Quelle sagt, 2.191\xa0¥ ist offen, die Buchungen sagen 12,50",
        ),
        (
            "2 closed, 1 refused: the open amount of INV-2025-01201 has changed since the run; run again",
            "2 closed, 1 refused: the open amount of INV-2025-01201 has changed since the run; run again",
            "2 abgeschlossen, 1 abgelehnt: der offene Betrag von INV-2025-01201 hat sich seit dem Lauf geändert; "
            "starten Sie den Lauf neu",
        ),
        (
            "not an e-mail address: x (value: 'x')\n  → close it first with `dunning statement close`",
            "not an e-mail address: x → close it first, with the button “Close” on its page",
            "keine E-Mail-Adresse: x → schließen Sie sie zuerst ab, mit dem Knopf „Abschließen“ auf ihrer Seite",
        ),
        ("run 2025-11-03-dunning is not known", "run 2025-11-03-dunning is not known", None),
        ("on 2025-11-03, 1.5 of 3.25 USD", "on 3 Nov 2025, 1.5 of $3.25", "on 03.11.2025, 1.5 of 3,25\xa0$"),
    ],
)
def test_amounts_and_days_are_written_as_the_reader_writes_them(text: str, english: str, german: str | None) -> None:
    assert said(text, "en") == english
    assert said(text, "de") == (german or english)


def test_how_interest_and_a_converted_fee_were_calculated_is_told_in_figures_of_the_language() -> None:
    segment = {"from_day": "2020-03-29", "days": 34, "principal": "13374.7800", "percent": "6.0000", "source": None}
    told = [
        fact([segment, segment], "segments", "USD", Wording("de")),
        fact(7475, "total_minor", "USD", Wording("de")),
        fact("1.09630000", "exchange_rate", "USD", Wording("de")),
        fact("5.0000 EUR", "declared", "USD", Wording("en")),
    ]
    stretch = "von 29.03.2020, Tage 34, Hauptforderung 13.374,78 $, Prozent 6"
    assert [one.replace("\xa0", " ") for one in told] == [f"{stretch}; {stretch}", "74,75 $", "1,0963", "€5.00"]


def test_a_level_says_after_what_its_days_are_counted(console: Console) -> None:
    assert "Tag 14 nach der letzten Frist" in console.get("/processes?language=de").text
    assert "Tag 14 nach der letzten Frist" in console.get("/processes/consumer?language=de").text
