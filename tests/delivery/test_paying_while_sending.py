"""People pay while their reminders leave: after a payment was published, nobody is reminded of it."""

import random
import threading
import time
from typing import Any

import pytest

from dunning_pipeline.delivery.judging.gate_facts import gather
from dunning_pipeline.delivery.working import preparing
from dunning_pipeline.delivery.working.worker import deliver
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply, Request

WORKERS = 3


@pytest.mark.parametrize("accounts", [60, pytest.param(600, marks=pytest.mark.slow)])
def test_no_paid_debt_is_reminded_after_its_payment_was_loaded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, accounts: int
) -> None:
    arrived: dict[str, float] = {}
    turn = threading.Semaphore(0)  # people pay between messages, however fast either goes

    def behave(request: Request, number: int) -> Reply:
        arrived[request.key] = time.monotonic()
        if number % (accounts // 12) == 0:
            turn.release()
        return Reply(delay=0.02)

    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    for number in range(accounts):
        desk.invoice(f"INV-{number:05d}", account=f"a{number}")
    desk.publish()
    keys = {}
    for number in range(accounts):
        statement = desk.statement(
            f"a{number}", lines={f"INV-{number:05d}": 10000}, attach_invoices=False, open_credits_minor=0
        )
        [keys[number]] = desk.queue(statement, overrides={"attachments": False})
    published: list[tuple[float, list[int]]] = []
    done = threading.Event()

    def pay() -> None:
        rng = random.Random(5)
        waiting = list(range(accounts))
        rng.shuffle(waiting)
        while waiting and turn.acquire() and not done.is_set():
            payers, waiting = waiting[: accounts // 10], waiting[accounts // 10 :]
            for number in payers:
                if number % 2:
                    desk.paid(f"INV-{number:05d}", "100.00")
                else:
                    desk.paid_without_reference(f"a{number}", "100.00")
            desk.publish()
            published.append((time.monotonic(), payers))

    with ProviderServer(behave) as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        payer = threading.Thread(target=pay)
        payer.start()
        counts = deliver(desk.ws, now=NOW, workers=WORKERS, processes=1)
        done.set()
        turn.release()
        payer.join()

    assert counts["sent"] + counts["cancelled"] == accounts
    assert counts["sent"] > 0 and counts["cancelled"] > 0
    # a worker has one request under way at most: only that one may arrive after a payment was published
    for at, payers in published:
        late = [number for number in payers if arrived.get(keys[number], 0.0) > at]
        assert len(late) <= WORKERS, (late, at)


def test_a_payment_published_while_the_gate_looks_is_seen(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in ("payer", "debtor"):
        desk.invoice(f"INV-{account}", account=account)
    desk.publish()
    keys = {
        account: desk.queue(desk.statement(account, lines={f"INV-{account}": 10000}))[0]
        for account in ("payer", "debtor")
    }
    looked = []

    def gather_then_pay(*arguments: Any, **options: Any) -> Any:
        found = gather(*arguments, **options)
        if not looked:
            desk.paid("INV-payer", "100.00")
            desk.publish()
        looked.append(found)
        return found

    monkeypatch.setattr(preparing, "gather", gather_then_pay)

    deliver(desk.ws, now=NOW)

    assert {account: desk.send(key)["status"] for account, key in keys.items()} == {
        "payer": "cancelled",
        "debtor": "sent",
    }
