"""The console by keyboard alone: everything is reached, one sees where one is, and what changes keeps the focus."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# what a person can act on and sees, each with a number; of several radio buttons the chosen one: arrows lead to others
NUMBERED = """() => {
  const acts = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")]
    .filter((one) => one.checkVisibility({visibilityProperty: true}))
    .filter((one) => !one.disabled && (one.type !== "radio" || one.checked));
  acts.forEach((one, number) => { one.dataset.number = number; });
  return acts.length;
}"""
# where the focus is: [number, whether it is marked, whether it is in sight]; null after the last stop
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const box = one.getBoundingClientRect(), style = getComputedStyle(one);
  const marked = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const sight = box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return [one.dataset.number ?? null, marked, sight];
}"""
PAGES = ["/", "/findings", "/statements?status=draft", "/calendar", "/dunning/new", "/profiles", "/simulate", "/users"]


@pytest.mark.parametrize("width", [390, 1280])
def test_tab_reaches_everything_in_order_and_shows_where_it_is(page_of, width: int) -> None:
    page = page_of("admin", width=width)
    for path in PAGES:
        page.goto(path)
        count, reached = page.evaluate(NUMBERED), []
        for _ in range(2 * count + 60):  # scrolling tables are stops, too
            page.keyboard.press("Tab")
            stop = page.evaluate(FOCUSED)
            if stop is None or (stop[0] and int(stop[0]) in reached[:-1]):
                break
            assert stop[1] and stop[2], (path, page.evaluate("document.activeElement.outerHTML"))
            if stop[0] and int(stop[0]) not in reached:  # a date has several stops
                reached.append(int(stop[0]))
        assert reached == list(range(count)), path


def test_the_first_stop_leads_past_the_pages(page_of) -> None:
    page = page_of("viewer")
    page.goto("/accounts")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_from_a_list_one_gets_to_what_is_done_with_the_ticked(page_of) -> None:
    page = page_of("collector")
    page.goto("/findings")
    page.get_by_role("link", name="To what is done with the selected").press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.press("Enter")  # none of the buttons is pressed by it
    expect(page.get_by_role("heading", name="Findings")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_an_error_and_a_notice_take_the_focus(page_of) -> None:
    page = page_of("collector")
    page.goto("/dunning/new")
    page.get_by_label("Invoice: number, id or key").fill("nothing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    page.goto("/accounts")
    page.locator("tbody a.row").first.click()
    page.get_by_label("Note").fill("called")
    page.get_by_role("button", name="Add note").press("Enter")
    expect(page.get_by_role("status")).to_be_focused()


def test_what_is_fetched_into_the_page_keeps_the_focus(page_of) -> None:
    page = page_of("viewer")
    page.goto("/statements?status=closed")
    page.locator("tbody a.row").first.click()
    page.locator("h1 a").click()
    page.get_by_role("link", name="What comes next, and when?").press("Enter")
    expect(page.locator("#next ul")).to_be_visible()
    expect(page.locator("#next")).to_be_focused()


def test_a_job_keeps_the_focus_on_its_button_and_says_when_it_is_done(page_of) -> None:
    page = page_of("viewer")
    page.goto("/simulate")
    page.get_by_role("button", name="Play").press("Enter")
    stop = page.locator("#job-stop")
    stop.focus()
    with page.expect_response(lambda answer: "job" in answer.url):  # the page asks once a second
        pass
    expect(page.locator("#job-status")).to_have_text("done", timeout=60_000)
    expect(page.locator("#job")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text("done")


def test_letters_do_nothing_once_they_are_switched_off(page_of) -> None:
    page = page_of("collector")
    page.goto("/accounts")
    page.keyboard.press("?")
    page.get_by_role("link", name="Switch these keys off").press("Enter")
    page.goto("/accounts")
    for key in ("/", "j", "?", "g", "f"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement === document.body && !document.querySelector('details.keys').open")
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.get_by_text("Keys", exact=True).click()
    page.get_by_role("link", name="Switch them on").click()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()


def test_the_keys_are_told_in_sight_where_the_page_is_enlarged(page_of) -> None:
    page = page_of("viewer", width=640)
    page.keyboard.press("?")
    expect(page.get_by_role("link", name="Switch these keys off")).to_be_in_viewport()
