"""A short crash run on both ledgers; the long one is `make crash`."""

from pathlib import Path

import pytest

from tests.crash.harness import torture
from tests.crash.postgres import postgres_bin

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("ledger", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_killed_workers_lose_and_double_nothing(tmp_path: Path, ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if ledger == "postgres" and postgres_bin() is None:
        pytest.skip("PostgreSQL is not installed")
    for name in ("DUNNING_MAIL", "SENDGRID_API_KEY", "SENDGRID_HOST", "SENDGRID_WEBHOOK_PUBLIC_KEY"):
        monkeypatch.setenv(name, "")
    outcome = torture(tmp_path, ledger=ledger, rounds=16, messages=160, workers=4, seed=7)
    assert outcome.is_good, outcome
    assert outcome.kills_while_sending >= 8
