"""What a source wrote does not run as a formula in the spreadsheet of who opens our CSV."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest

from dunning_pipeline.cli.output import Format, show
from dunning_pipeline.spreadsheets import safe_cell


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('=HYPERLINK("http://evil.example";"open")', '\'=HYPERLINK("http://evil.example";"open")'),
        ("=1+1", "'=1+1"),
        ("+SUM(A1:A9)", "'+SUM(A1:A9)"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("＝1+1", "'＝1+1"),
        ("-12.50", "-12.50"),
        ("-1.234,50", "-1.234,50"),
        ("+49 (0)30 1234-5", "+49 (0)30 1234-5"),
        ("Acme = Co", "Acme = Co"),
        ("", ""),
        (Decimal("-3.00"), Decimal("-3.00")),
        (-3, -3),
        (None, None),
    ],
)
def test_only_text_that_would_run_gets_an_apostrophe(written: Any, expected: Any) -> None:
    assert safe_cell(written) == expected


def test_a_list_of_a_command_is_safe_as_csv_and_exact_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"account_name": "=cmd|' /C calc'!A0", "please_pay": "-5.00"}]
    show(rows, Format.csv)
    assert list(csv.DictReader(io.StringIO(capsys.readouterr().out))) == [
        {"account_name": "'=cmd|' /C calc'!A0", "please_pay": "-5.00"}
    ]
    show(rows, Format.json)
    assert "\"=cmd|' /C calc'!A0\"" in capsys.readouterr().out
