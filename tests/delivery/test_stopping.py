"""What a person decides while a run is sending counts for all that has not left yet."""

import os
import signal
from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from dunning_pipeline.delivery.switches import switch_off, switch_on
from dunning_pipeline.delivery.working.recorder import Recorder
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.findings import raise_finding
from dunning_pipeline.ledger.schema import findings
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply, Request

HANDS = 2


def during_the_third(act: Callable[[], object]) -> Callable[[Request, int], Reply]:
    """A provider at whose third request, before it is answered, a person does something."""

    def behave(request: Request, number: int) -> Reply:
        if number == 3:
            act()
        return Reply()

    return behave


def test_the_stop_button_ends_a_run_that_is_sending(desk: Desk, sendgrid: ProviderServer) -> None:
    keys = {desk.message(f"a{number}") for number in range(20)}

    def stop() -> None:
        with desk.engine.begin() as connection:
            switch_on(connection, "stop", actor="clerk", reason="wrong template", at=NOW)

    sendgrid.behaviour = during_the_third(stop)
    counts = deliver(desk.ws, now=NOW, workers=HANDS)
    left = set(sendgrid.counts)
    assert 3 <= len(left) < 3 + HANDS and counts["sent"] == len(left)
    assert {desk.send(key)["status"] for key in keys - left} == {"queued"}

    with desk.engine.begin() as connection:
        switch_off(connection, "stop", actor="clerk", at=NOW)
    assert deliver(desk.ws, now=NOW, workers=HANDS)["sent"] == 20 - len(left)
    assert set(sendgrid.counts.values()) == {1} and set(sendgrid.counts) == keys


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_waits_for_what_is_in_flight(
    desk: Desk, sendgrid: ProviderServer, told: signal.Signals
) -> None:
    """A container that stops, Ctrl-C, "Terminate" in Dagster: nobody has to ask whether a message left."""
    keys = {desk.message(f"a{number}") for number in range(20)}
    before = signal.getsignal(told)
    sendgrid.behaviour = during_the_third(lambda: os.kill(os.getpid(), told))
    counts = deliver(desk.ws, now=NOW, workers=HANDS)
    left = set(sendgrid.counts)
    assert 3 <= len(left) < 20 and (counts["sent"], counts["unknown"]) == (len(left), 0)
    assert {desk.send(key)["status"] for key in keys - left} == {"queued"}
    assert signal.getsignal(told) == before


def test_a_campaign_that_is_paused_while_it_is_sent_holds_the_rest_and_no_other(
    desk: Desk, sendgrid: ProviderServer
) -> None:
    ours = {desk.message(f"a{number}") for number in range(10)}
    others = {desk.message(f"b{number}", campaign="other") for number in range(10)}

    def pause() -> None:
        with desk.engine.begin() as connection:
            switch_on(connection, "campaign:notice", actor="clerk", reason=None, at=NOW)

    sendgrid.behaviour = during_the_third(pause)
    deliver(desk.ws, now=NOW, workers=HANDS)
    assert others <= set(sendgrid.counts)
    assert {desk.send(key)["reason"] for key in ours - set(sendgrid.counts)} == {"campaign_paused"}


def test_a_work_that_fails_undoes_only_its_own_writes(desk: Desk) -> None:
    def finding(name: str) -> Callable[[Connection], str]:
        def write(connection: Connection) -> str:
            said = {"kind": "k", "object_kind": "account", "object_id": name, "severity": "info", "message": name}
            told = raise_finding(connection, **said, at=NOW)
            if name == "bad":
                raise ValueError(name)
            return told

        return write

    recorder = Recorder(desk.engine)
    futures = {}

    def hand_in_more(connection: Connection) -> None:  # while a transaction runs: they come into one together
        futures.update({name: recorder.post(finding(name)) for name in ("one", "bad", "two")})

    recorder.run(hand_in_more)
    recorder.close()
    assert isinstance(futures["bad"].exception(), ValueError)
    assert futures["one"].result() and futures["two"].result()
    with reading(desk.engine) as connection:
        assert sorted(connection.scalars(findings.select().with_only_columns(findings.c.message))) == ["one", "two"]
