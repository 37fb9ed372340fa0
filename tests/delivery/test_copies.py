"""Two copies of one workspace would say everything twice: the one that is not at home lets nothing leave."""

import shutil
from pathlib import Path

import pytest

from dunning_pipeline.delivery.switches import resume, switched_on
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.ledger import home
from dunning_pipeline.ledger.engine import dispose, open_ledger, reading
from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer


def copied(ws: Workspace, to: Path) -> Workspace:
    """As `cp -r` does it, while nothing runs."""
    if home.file_identity(ws.state / "ledger.sqlite") is None:
        pytest.skip("this file system tells no birth of a file")
    dispose(ws.ledger_url)
    shutil.copytree(ws.root, to, ignore=shutil.ignore_patterns(to.name))
    return Workspace(to)


@pytest.mark.parametrize("processes", [1, 2])
def test_of_two_copies_one_sends(desk: Desk, sendgrid: ProviderServer, tmp_path: Path, processes: int) -> None:
    desk.message("first")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    waiting = {desk.message(f"a{number}") for number in range(100)}
    staging = copied(desk.ws, tmp_path / "staging")

    told = deliver(staging, now=NOW, workers=4, processes=processes)

    assert (told["sent"], len(sendgrid.counts)) == (0, 1)
    assert "this ledger is a copy" in told["errors"][0] and str(desk.ws.state) in told["errors"][0]
    with reading(open_ledger(staging)) as connection:
        assert "another file" in (switched_on(connection)["stop"] or "")
    assert deliver(desk.ws, now=NOW, workers=4, processes=processes)["sent"] == 100
    assert waiting <= set(sendgrid.counts) and set(sendgrid.counts.values()) == {1}
    dispose(staging.ledger_url)


def test_a_copy_that_takes_over_sends_after_somebody_said_so(
    desk: Desk, sendgrid: ProviderServer, tmp_path: Path
) -> None:
    desk.message("first")
    deliver(desk.ws, now=NOW)
    desk.message("second")
    new = copied(desk.ws, tmp_path / "new")
    assert deliver(new, now=NOW)["sent"] == 0
    with open_ledger(new).begin() as connection:
        assert resume(connection, actor="engineer", at=NOW) == (True, None)
    assert deliver(new, now=NOW)["sent"] == 1
    assert "errors" not in deliver(new, now=NOW)
    dispose(new.ledger_url)


def test_a_sending_that_had_nothing_to_send_makes_no_home(desk: Desk, sendgrid: ProviderServer, tmp_path: Path) -> None:
    """A prepared workspace is handed on before anything left."""
    assert deliver(desk.ws, now=NOW)["sent"] == 0
    other = copied(desk.ws, tmp_path / "other")
    here = open_ledger(desk.ws)
    for ws in (desk.ws, other):
        assert "errors" not in deliver(ws, now=NOW)
    with reading(here) as connection:
        assert not home.has_home(connection)
    desk.message("first")
    assert deliver(desk.ws, now=NOW)["sent"] == 1
    with reading(here) as connection:
        assert home.has_home(connection)
    dispose(other.ledger_url)
