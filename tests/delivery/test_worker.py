"""What is due leaves once, through the outbox; what must not leave does not."""

from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select, update

from dunning_pipeline.cli.main import main
from dunning_pipeline.delivery.permission.preferences import preference_link
from dunning_pipeline.delivery.rendering import Renderer, document_of
from dunning_pipeline.delivery.working.resolving import resolve_by_person
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import Refused
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.ledger.processes import is_dead, process_mark
from dunning_pipeline.ledger.schema import findings, sends
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.statements.levels import was_sent
from tests.delivery.desk import NOW, Desk


def test_a_message_is_written_once_and_recorded(desk: Desk) -> None:
    key = desk.message("acme")

    assert deliver(desk.ws, now=NOW)["sent"] == 1
    assert deliver(desk.ws, now=NOW)["sent"] == 0

    assert desk.outbox() == [key]
    mail = message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
    assert mail["To"] == "acme@example.com"
    assert mail["X-Dunning-Key"] == key
    assert "Northwind" in mail["From"]
    assert desk.send(key)["status"] == "sent"
    assert desk.attempts(key) == ["sent"]


def test_what_is_not_due_waits_for_its_hour(desk: Desk) -> None:
    key = desk.message("acme", send_now=False, due_at=NOW + timedelta(hours=3))

    assert deliver(desk.ws, now=NOW)["sent"] == 0
    assert desk.send(key)["status"] == "queued"
    assert deliver(desk.ws, now=NOW + timedelta(hours=3))["sent"] == 1


def test_many_workers_deliver_each_message_once(desk: Desk) -> None:
    keys = sorted(desk.message(f"a{number}") for number in range(60))

    assert deliver(desk.ws, now=NOW, workers=4)["sent"] == 60
    assert desk.outbox() == keys


def test_mail_that_nobody_has_to_get_shows_the_way_to_choose(desk: Desk) -> None:
    notice, reminder = desk.message("acme"), desk.message("acme", kind="dunning", occurrence="2")
    assert deliver(desk.ws, now=NOW)["sent"] == 2
    texts = {
        key: message_from_bytes((desk.ws.outbox / f"{key}.eml").read_bytes(), policy=policy.default)
        for key in (notice, reminder)
    }
    link = preference_link(desk.ws, "acme@example.com")
    assert link
    for part in texts[notice].iter_parts():
        assert link in part.get_content()
    for part in texts[reminder].iter_parts():
        assert "/preferences/" not in part.get_content()


def test_what_left_before_the_backup_was_restored_is_settled_by_a_person_and_counts(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    desk.publish()
    statement = desk.statement("acme", lines={"INV-1": 10000})
    [key] = desk.queue(statement)
    with pytest.raises(Refused, match="not sent"):
        resolve_by_person(desk.ws, key, was_sent=False, now=NOW, actor="engineer")

    resolve_by_person(desk.ws, key, was_sent=True, now=NOW, actor="engineer", reason="the provider has it")
    assert deliver(desk.ws, now=NOW, send_now=True)["sent"] == 0 and desk.outbox() == []
    with desk.engine.begin() as connection:
        assert was_sent(connection, statement["statement_id"])  # its level counts: the next run does not repeat it
    with pytest.raises(Refused, match="this send is sent"):
        resolve_by_person(desk.ws, key, was_sent=True, now=NOW, actor="engineer")


def test_a_template_that_a_campaign_chose_is_named_in_the_document(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    desk.publish()
    [key] = desk.queue(desk.statement("acme", lines={"INV-1": 10000}), template="final_reminder")
    row = desk.send(key)
    with desk.engine.begin() as connection:
        [statement] = (
            Renderer(desk.ws, owners=lambda numbers: {}).statements_of(connection, [row["statement_id"]]).values()
        )
    assert document_of(row, statement)["statement"]["template"] == "final_reminder"
    assert statement["content"]["statement"]["template"] == "friendly_reminder"


def test_numbers_in_national_format_are_those_of_the_accounts_country(desk: Desk) -> None:
    desk.invoice("INV-1", account="acme")
    statement = desk.statement("acme", lines={"INV-1": 10000}, channels=("sms",), recipients={"sms": "0151 12345678"})
    [key] = desk.queue(statement)
    assert desk.send(key)["recipients"]["to"] == ["+4915112345678"]


def test_what_a_killed_process_left_in_doubt_is_a_persons_task(desk: Desk) -> None:
    key = desk.message("acme")
    killed = process_mark().rpartition(":")[0] + ":of-another-boot"
    flying = {"status": "in_flight", "phase": "leaving", "claimed_by": killed, "provider": "sendgrid"}
    with desk.engine.begin() as connection:
        connection.execute(update(sends).where(sends.c.send_key == key).values(**flying))

    assert deliver(desk.ws, now=NOW)["recovered"]["unknown"] == 1
    assert desk.send(key)["status"] == "unknown" and desk.findings() == ["send_unknown"]

    resolve_by_person(desk.ws, key, was_sent=True, now=NOW, actor="engineer")
    with reading(desk.engine) as connection:
        assert connection.scalars(select(findings.c.status)).all() == ["done"]


def test_processes_are_told_apart_by_their_start() -> None:
    mine = process_mark()
    host, pid, _ = mine.split(":")
    assert not is_dead(mine) and not is_dead(f"{mine}/3") and not is_dead(f"{mine}:lease")
    assert is_dead(f"{host}:{pid}:of-another-boot")  # the same number, another process
    assert is_dead(f"{host}:unknown")
    elsewhere = "another-machine:7:1-x"
    assert not is_dead(elsewhere)
    assert is_dead(f"{elsewhere}/0", live_leases=[]) and not is_dead(f"{elsewhere}/0", live_leases=[elsewhere])


def test_a_locked_ledger_is_told_in_a_sentence(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dunning_pipeline.ledger.engine.BUSY_TIMEOUT_MS", 10)
    with open_ledger(workspace).begin(), pytest.raises(SystemExit, match="1"):
        monkeypatch.setattr("dunning_pipeline.ledger.engine._opened", {})  # the command is another process
        monkeypatch.setattr("sys.argv", ["dunning", "send", "stop", "--workspace", str(workspace.root)])
        main()
    assert "another process keeps the ledger locked" in capsys.readouterr().err
