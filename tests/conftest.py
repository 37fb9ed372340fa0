"""What all tests share: a workspace of their own, the real data sets where present, no business clock from outside."""

import shutil
from pathlib import Path

import pytest

from dunning_pipeline.settings.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_environment_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DUNNING_NOW", "DUNNING_WORKSPACE", "DUNNING_LEDGER_URL", "DUNNING_MAIL", "SENDGRID_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A fresh copy of the shipped policies, templates and models, with an empty inbox and state."""
    for folder in ("policies", "templates", "dbt_like_sql"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "inbox").mkdir()
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real inputs and third-party contracts beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not beside this checkout (../shared/data)")
    return folder
