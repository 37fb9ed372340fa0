"""A digest in the console: found from each of its accounts, with those alone that the reader may see."""

import pytest
from sqlalchemy import insert

from dunning_pipeline.console.sentences import said
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import send_accounts, sends
from tests.console.world import NOW, Console

ROW = {"item_count": 1, "days_overdue": 3, "items": [], "number": "4711"}


@pytest.fixture
def digest(console: Console) -> str:
    """One message to kim's and lee's common mailbox, and one to lee's own."""
    for key, names in (("dg-both", ("kim", "lee")), ("dg-lee", ("lee",))):
        sums = [{"currency": "EUR", "open_amount": "12.50", "overdue_amount": None, "item_count": 1}]
        listed = [{**ROW, "key": f"s:{name}", "id": name, "name": f"{name} & Co <b>", "sums": sums} for name in names]
        with console.app.state.engine.begin() as connection:
            connection.execute(
                insert(sends).values(
                    send_key=key, kind="campaign", channel="email", campaign="mailboxes", occurrence="one",
                    account_key=f"s:{names[-1]}", recipients={"to": [f"{key}@example.com"]}, content_sha256="x",
                    status="held", due_at=NOW, send_now=False, attempts=0, queued_at=NOW, created_by="t",
                    document={"accounts": listed},
                )
            )  # fmt: skip
            connection.execute(insert(send_accounts), [{"send_key": key, "account_key": f"s:{name}"} for name in names])
            raise_finding(
                connection, kind="bounced", object_kind="send", object_id=key, severity="warning", at=NOW,
                message=f"{key} did not arrive",
            )  # fmt: skip
    return "dg-both"


def test_a_digest_is_found_from_each_account_and_shows_what_the_reader_may_see(console: Console, digest: str) -> None:
    for name in ("kim", "lee"):
        page = console.get(f"/accounts/s:{name}?language=de").text
        assert f"/sends/{digest}" in page and "Sammelnachricht zu 2 Konten" in page
    page = console.get(f"/sends/{digest}?language=de").text
    assert "kim &amp; Co &lt;b&gt;" in page and "lee &amp; Co" in page and "12,50" in page
    assert "Kampagne mailboxes" in page and "/accounts/s%3Akim" in page
    mine = console.get(f"/sends/{digest}", who="kim").text
    assert "kim &amp; Co" in mine and "lee &amp;" not in mine and "s:lee" not in mine
    assert "and 1 more that your user does not see" in mine
    listed = console.get("/sends", who="kim").text
    assert digest in listed and "dg-lee" not in listed
    assert console.get("/sends/dg-lee", who="kim").status_code == 404
    assert "dg-lee" not in console.get("/accounts/s:kim").text
    found = console.get("/findings", who="kim").text
    assert "dg-both did not arrive" in found and "dg-lee did not arrive" not in found


def test_why_a_digest_was_cancelled_is_said_in_german() -> None:
    told = said("amount_changed: account s:kim, invoice s:i-kim", "de")
    assert told == "Betrag geändert: Konto s:kim, Rechnung s:i-kim"
    assert said("block: account s:kim, dispute on s:i-kim", "de").startswith("gesperrt: Konto s:kim, ")
