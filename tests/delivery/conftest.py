"""The desk of this room's stories; settings that a developer's shell may carry are cleared."""

from collections.abc import Iterator

import pytest

from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import Desk
from tests.delivery.provider_server import ProviderServer


@pytest.fixture(autouse=True)
def _no_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "SENDGRID_HOST", "SENDGRID_WEBHOOK_PUBLIC_KEY", "DUNNING_SMTP_URL", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN",
        "TWILIO_HOST", "STRIPE_API_KEY", "STRIPE_HOST", "DUNNING_TASK_URL", "DUNNING_LETTER_FOLDER",
        "DUNNING_RATE_PER_SECOND",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def desk(workspace: Workspace) -> Desk:
    return Desk(workspace)


@pytest.fixture
def sendgrid(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderServer]:
    monkeypatch.setenv("DUNNING_MAIL", "sendgrid")
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.test")
    with ProviderServer() as server:
        monkeypatch.setenv("SENDGRID_HOST", server.url)
        yield server


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProviderServer]:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_1")
    monkeypatch.setenv("DUNNING_HTTP_TIMEOUT_SECONDS", "0.5")
    monkeypatch.setattr("dunning_pipeline.delivery.working.worker.WAIT_SECONDS", 0.0)
    with ProviderServer() as server:
        monkeypatch.setenv("STRIPE_HOST", server.url)
        yield server
