"""The console over the demo's company in a real headless Chromium, as a person uses it."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dunning_pipeline.console import access
from dunning_pipeline.ledger.engine import dispose, open_ledger
from dunning_pipeline.settings.workspace import Workspace
from tests.conftest import ROOT, copy_shipped

HERE = Path(__file__).parent
NOW = "2025-11-03T09:00:00+01:00"
PASSWORD = "correct horse battery staple"
ARTEFACTS = ROOT / "test-artefacts" / "console"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# without these flags Chromium asks its maker's hosts at every start
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Console:
    address: str
    workspace: Workspace


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """axe-core and vnu-jar; skips visibly where npm is not there or cannot install."""
    folder = HERE / "node_modules"
    if not (folder / "axe-core").is_dir():
        if not shutil.which("npm"):
            pytest.skip("npm is not installed (Debian package npm)")
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm could not install axe-core and vnu-jar: {done.stderr[-200:]}")
    return folder


@pytest.fixture(scope="session")
def demo(made_once: Callable[[Callable[[Path], None]], Path]) -> Workspace:
    """A workspace in which the demo ran once, with one user of each role."""
    return Workspace(made_once(_make_demo))


def _make_demo(root: Path) -> None:
    copy_shipped(root)
    # level 1 waits for a person, so that there are drafts to work on
    process = root / "policies" / "processes" / "standard.yaml"
    process.write_text(process.read_text(encoding="utf-8").replace("approval: automatic", "approval: review", 1))
    _dunning("demo", root=root)
    workspace = Workspace(root)
    with open_ledger(workspace).begin() as connection:
        for role in access.ROLES:
            access.add_user(connection, login=role, name=role.title(), role=role, password=PASSWORD)
    dispose(workspace.ledger_url)


def _dunning(*arguments: str, root: Path) -> None:
    command = [str(ROOT / ".venv" / "bin" / "dunning"), "--workspace", str(root), *arguments]
    if not Path(command[0]).exists():
        command[0:1] = ["dunning"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def console(demo: Workspace) -> Iterator[Console]:
    import socket
    import sys

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dunning_pipeline.cli.main", "--workspace", str(demo.root), "console"]
    server = subprocess.Popen([*command, "--port", str(port)], env={**os.environ, "DUNNING_NOW": NOW})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):  # bounded wait for the port, not for a result
            try:
                urllib.request.urlopen(f"{address}/login", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        yield Console(address, demo)
    finally:
        server.terminate()
        server.wait(timeout=20)


# of a module: while Playwright is open, nothing else in this process can run an event loop
@pytest.fixture(scope="module")
def chromium():  # type: ignore[no-untyped-def]
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (Debian package chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def session_of(chromium, console: Console):  # type: ignore[no-untyped-def]
    """A function role → cookies of that user, logged in once through the form (logins a minute are limited)."""
    kept = {}

    def cookies(role: str):  # type: ignore[no-untyped-def]
        if role not in kept:
            context = chromium.new_context(base_url=console.address)
            page = context.new_page()
            page.goto("/login")
            page.fill("input[name=login]", role)
            page.fill("input[name=password]", PASSWORD)
            page.click("main button")
            kept[role] = context.storage_state()
            context.close()
        return kept[role]

    return cookies


@pytest.fixture
def page_of(chromium, console: Console, session_of):  # type: ignore[no-untyped-def]
    """A function role → page of a new browser window of that user, logged in; keeps what it asked other hosts for."""
    contexts = []

    def open_page(
        role: str = "admin", *, width: int = 1280, height: int = 900, dark: bool = False, javascript: bool = True
    ):  # type: ignore[no-untyped-def]
        context = chromium.new_context(
            base_url=console.address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            accept_downloads=True,
            storage_state=session_of(role),
        )
        contexts.append(context)
        page = context.new_page()
        page.foreign = []
        page.on(
            "request", lambda r: None if r.url.startswith((console.address, "data:")) else page.foreign.append(r.url)
        )
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("/")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def keep(request: pytest.FixtureRequest):  # type: ignore[no-untyped-def]
    """Keep a screenshot of a page among the artefacts of this run."""

    def screenshot(page, name: str) -> None:  # type: ignore[no-untyped-def]
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(ARTEFACTS / f"{name}.png"), full_page=True)

    return screenshot
