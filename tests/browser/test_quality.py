"""Accessible, valid, light, in both languages, on a phone and in the dark."""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/findings",
    "/runs",
    "/statements",
    "/accounts",
    "/segments",
    "/segments/overdue_1_30",
    "/campaigns",
    "/calendar",
    "/sends",
    "/consent",
    "/reports",
    "/reports/ageing",
    "/processes",
    "/processes/standard",
    "/simulate",
    "/audit",
    "/users",
    "/jobs",
    "/search?q=GmbH",
    "/password",
]


def deeper(page) -> list[str]:  # type: ignore[no-untyped-def]
    """One statement, its edit and send form, one account with its holds and reasons, one send."""
    page.goto("/statements?status=draft")
    statement = page.locator("tbody a.row").first.get_attribute("href")
    page.goto(statement)
    account = page.locator("h1 a").get_attribute("href")
    return [statement, f"{statement}/edit", f"{statement}/send", account, f"{account}/holds", f"{account}/why"]


@pytest.mark.parametrize("dark", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(page_of, node_modules: Path, dark: bool) -> None:
    axe = (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    page = page_of("admin", dark=dark)
    found = []
    for path in [*PAGES, *deeper(page)]:
        page.goto(path)
        page.evaluate(axe)
        result = page.evaluate("axe.run(document, {iframes: false, resultTypes: ['violations']})")
        found += [
            f"{path}: {v['id']} {v['nodes'][0]['html'][:120]}"
            for v in result["violations"]
            if v["impact"] in ("serious", "critical")
        ]
    assert found == []


@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_window(page_of, keep, width: int) -> None:
    page = page_of("admin", width=width, dark=width == 390)
    wide = []
    for path in [*PAGES, *deeper(page)]:
        page.goto(path)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
            wide.append(path)
    page.goto("/statements")
    keep(page, f"statements-{width}")
    assert wide == []


@pytest.mark.java
def test_the_html_is_valid(page_of, node_modules: Path, tmp_path: Path) -> None:
    jars = list((node_modules / "vnu-jar").rglob("vnu.jar"))
    if not jars:
        pytest.skip("vnu-jar is not installed")
    page = page_of("admin")
    files = []
    for number, path in enumerate([*PAGES, *deeper(page)]):
        file = tmp_path / f"{number}.html"
        file.write_text(page.request.get(path).text(), encoding="utf-8")
        files.append(str(file))
    command = ["java", "-jar", str(jars[0]), "--format", "json", "--errors-only", "--exit-zero-always", *files]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    messages = json.loads(done.stderr or done.stdout)["messages"]
    assert [f"{m['url'].rsplit('/', 1)[-1]}:{m.get('lastLine')} {m['message']}" for m in messages] == []


def test_the_first_page_is_light_and_asks_no_other_host(page_of) -> None:
    page = page_of("viewer")
    sizes: list[int] = []
    page.on(
        "response",
        lambda response: sizes.append(int(response.headers.get("content-length", 0)) or len(response.body())),
    )
    page.goto("/")
    page.wait_for_load_state("networkidle")
    assert 0 < sum(sizes) < 150_000
    assert page.foreign == []


def test_the_pages_speak_german(page_of, keep) -> None:
    page = page_of("viewer")
    page.goto("/statements?language=de")
    assert page.locator("html").get_attribute("lang") == "de"
    assert page.locator("h1").inner_text() == "Mahnungen"
    keep(page, "statements-de")
