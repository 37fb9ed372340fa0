"""The timeline of an account: what the ledger knows and what was paid, in one line of time."""

import re

from tests.console.world import Console


def test_payments_stand_among_what_happened_each_in_its_own_account(console: Console) -> None:
    page = console.get("/accounts/s:kim?language=en").text
    timeline = page.split('<ol class="timeline">')[1].split("</ol>")[0]
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", timeline))
    assert "payment PAY-kim €1,234.50" in told and "2025" in told.split("payment PAY-kim")[0].rsplit("·", 2)[-2]
    assert "PAY-lee" not in page
