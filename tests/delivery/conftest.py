"""The desk of this room's stories; settings that a developer's shell may carry are cleared."""

import pytest

from dunning_pipeline.settings.workspace import Workspace
from tests.delivery.desk import Desk


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
