"""What all tests share: a workspace of their own, the real data sets where present, no business clock from outside."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dunning_pipeline.ledger import migrating
from dunning_pipeline.ledger.engine import dispose, open_ledger_url, sqlite_file
from dunning_pipeline.settings.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _no_environment_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DUNNING_NOW", "DUNNING_WORKSPACE", "DUNNING_LEDGER_URL", "DUNNING_MAIL", "SENDGRID_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A new SQLite ledger begins as a copy of one that the migrations made: hundreds of tests open one."""
    template = tmp_path_factory.mktemp("ledger") / "ledger.db"
    url, migrate = f"sqlite:///{template}", migrating.migrate
    open_ledger_url(url)
    dispose(url)  # the last connection takes the write-ahead log into the file

    def copied_then_migrated(engine: Engine) -> None:
        file = sqlite_file(str(engine.url))
        if file is not None and not file.exists():
            shutil.copy(template, file)
        migrate(engine)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrating, "migrate", copied_then_migrated)
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests first, so that no worker is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@cache
def _shipped() -> tuple[list[Path], list[tuple[Path, bytes]]]:
    """Folders, parents first, and files of the shipped policies, templates and models."""
    folders, files = [], []
    for top in ("policies", "templates", "dbt_like_sql"):
        for folder, below, names in os.walk(ROOT / top):
            below[:] = [name for name in below if name not in ("target", "logs")]
            path = Path(folder).relative_to(ROOT)
            folders.append(path)
            files += [(path / name, (ROOT / path / name).read_bytes()) for name in names]
    return folders, files


def copy_shipped(into: Path) -> None:
    """The shipped policies, templates and models as files of one's own, written from memory: a thousand tests ask."""
    folders, files = _shipped()
    for folder in folders:
        os.mkdir(into / folder)  # noqa: PTH102
    for path, content in files:
        with open(into / path, "xb", buffering=0) as file:  # noqa: PTH123
            file.write(content)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A fresh copy of the shipped policies, templates and models, with an empty inbox and state."""
    copy_shipped(tmp_path)
    (tmp_path / "inbox").mkdir()
    return Workspace(tmp_path)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Callable[[Path], None]], Path]:
    """made_once(make) is a worker's own copy of the folder that `make` fills: it is called once for all workers."""
    base, worker = tmp_path_factory.getbasetemp(), os.environ.get("PYTEST_XDIST_WORKER")

    def once(make: Callable[[Path], None]) -> Path:
        kept = (base.parent if worker else base) / f"made-{make.__module__}.{make.__name__}"
        with open(f"{kept}.lock", "w") as lock:  # noqa: PTH123
            fcntl.flock(lock, fcntl.LOCK_EX)  # the other worker waits for it
            if not kept.is_dir():
                making = tmp_path_factory.mktemp("making")
                make(making)
                making.rename(kept)
        own = base / f"own-{kept.name}"
        if not own.is_dir():
            shutil.copytree(kept, own)
        return own

    return once


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real inputs and third-party contracts beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data sets are not beside this checkout (../shared/data)")
    return folder
