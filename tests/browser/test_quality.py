"""Accessible, valid, light, in both languages, on a phone and in the dark."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.conftest import Console

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = [
    "/",
    "/findings",
    "/runs",
    "/statements",
    "/accounts",
    "/profiles",
    "/segments",
    "/segments/overdue_1_30",
    "/campaigns",
    "/campaigns/upcoming-due-dates",
    "/calendar",
    "/calendar?view=week",
    "/sends",
    "/consent",
    "/reports",
    "/reports/ageing",
    "/dunning/new",
    "/processes",
    "/processes/standard",
    "/templates/friendly_reminder/de",
    "/simulate",
    "/audit",
    "/users",
    "/jobs",
    "/search?q=GmbH",
    "/password",
]


WIDTHS = (390, 1280)


@dataclass
class Seen:
    """What was measured on one visit of a page: axe finds colours in the dark apart, all else holds for both."""

    html: str
    violations: list[str]
    dark_violations: list[str]
    too_wide: list[int]


@pytest.fixture(scope="module")
def seen(chromium, console: Console, session_of, node_modules: Path) -> dict[str, Seen]:  # type: ignore[no-untyped-def]
    """Every page by its path, visited once."""
    axe = (node_modules / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
    context = chromium.new_context(base_url=console.address, storage_state=session_of("admin"))
    page = context.new_page()
    found = {}
    for path in [*PAGES, *deeper(page)]:
        html = page.goto(path).text()
        page.evaluate(axe)
        light = serious(page, "{}")
        page.emulate_media(color_scheme="dark")
        dark = serious(page, "{runOnly: ['color-contrast']}")
        page.emulate_media(color_scheme="light")
        wide = []
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
                wide.append(width)
        found[path] = Seen(html, light, dark, wide)
    context.close()
    return found


def deeper(page) -> list[str]:  # type: ignore[no-untyped-def]
    """One run, one send, one statement, its edit and send form, one account with its holds, reasons and next step,
    one profile."""
    first = []
    for path in ("/runs", "/sends"):
        page.goto(path)
        first.append(page.locator("tbody a.row").first.get_attribute("href"))
    page.goto("/statements?status=draft")
    statement = page.locator("tbody a.row").first.get_attribute("href")
    page.goto(statement)
    account = page.locator("h1 a").get_attribute("href")
    forms = [statement, f"{statement}/edit", f"{statement}/send"]
    page.goto("/profiles")
    profile = page.locator("tbody a.row").first.get_attribute("href")
    return [*first, *forms, account, f"{account}/holds", f"{account}/why", profile]


def serious(page, options: str) -> list[str]:  # type: ignore[no-untyped-def]
    result = page.evaluate(
        f"axe.run(document, {{iframes: false, resultTypes: ['violations'], elementRef: false, ...{options}}})"
    )
    return [
        f"{v['id']} {v['nodes'][0]['html'][:120]}"
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


@pytest.mark.slow
def test_axe_finds_nothing_serious_on_any_page_in_the_light_and_in_the_dark(seen: dict[str, Seen]) -> None:
    assert {path: one.violations for path, one in seen.items() if one.violations} == {}
    assert {path: one.dark_violations for path, one in seen.items() if one.dark_violations} == {}


@pytest.mark.slow
def test_no_page_is_wider_than_the_window(seen: dict[str, Seen]) -> None:
    assert {path: one.too_wide for path, one in seen.items() if one.too_wide} == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_the_lists_are_kept_as_pictures(page_of, keep, width: int) -> None:
    page = page_of("admin", width=width, dark=width == 390)
    page.goto("/statements")
    keep(page, f"statements-{width}")
    assert page.locator("tbody tr").count() > 1


@pytest.mark.java
@pytest.mark.slow
def test_the_html_is_valid(seen: dict[str, Seen], node_modules: Path, tmp_path: Path) -> None:
    jars = list((node_modules / "vnu-jar").rglob("vnu.jar"))
    if not jars:
        pytest.skip("vnu-jar is not installed")
    files = []
    for number, one in enumerate(seen.values()):
        file = tmp_path / f"{number}.html"
        file.write_text(one.html, encoding="utf-8")
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


LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"


@pytest.mark.parametrize("width", WIDTHS)
def test_a_name_of_one_long_word_widens_no_list(page_of, width: int) -> None:
    page = page_of("approver", width=width)
    for path, cells in (("/", "td.told"), ("/findings", "td.told"), ("/statements?status=draft", "td a.row"),
                        ("/accounts", "td a.row"), ("/segments/overdue_1_30", "td.told:nth-child(2)")):  # fmt: skip
        page.goto(path)
        page.locator(f"main {cells}").first.evaluate("(cell, name) => { cell.textContent = name; }", LONG)
        wide = page.evaluate(
            "[...document.querySelectorAll('.scroll')].map((one) => one.scrollWidth - one.clientWidth)"
        )
        assert max(wide) <= 1, (path, wide)
