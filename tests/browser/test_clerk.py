"""A day of the collections clerk, click by click."""

import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def first_draft(page) -> None:  # type: ignore[no-untyped-def]
    page.goto("/statements?status=draft&sort=account")
    page.locator("tbody a.row").first.click()


def test_the_day_begins_with_what_needs_a_person(page_of, keep) -> None:
    page = page_of("viewer")
    assert page.locator("h1").inner_text().startswith("Today")
    assert page.locator(".card strong").first.inner_text() != "0"
    assert page.get_by_text("Needs a person").is_visible()
    keep(page, "today")
    assert page.foreign == []


def test_a_draft_is_edited_seen_as_the_debtor_sees_it_closed_and_sent(page_of, keep) -> None:
    page = page_of("approver")
    first_draft(page)
    address = page.url
    page.get_by_role("link", name="Edit", exact=True).click()
    page.fill("textarea[name=text_opening]", "We spoke on the phone this morning.")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_role("status").inner_text() == "Saved."
    mail = page.frame_locator("iframe.preview")
    assert "We spoke on the phone this morning." in mail.locator("body").inner_text()
    keep(page, "statement-draft")

    page.get_by_role("button", name="Close", exact=True).click()
    assert "Closed." in page.get_by_role("status").inner_text()
    number = re.search(r"D-2025-\d{6}", page.locator("h1").inner_text())
    assert number and page.url.split("?")[0] == address.split("?")[0]

    page.get_by_role("link", name="Send", exact=True).click()
    page.fill("input[name=bcc]", "boss@northwind.example")
    page.get_by_role("button", name="Queue", exact=True).click()
    assert "1 messages are queued." in page.get_by_role("status").inner_text()
    assert page.locator("ol.timeline").get_by_text("queued").first.is_visible()
    keep(page, "statement-closed")

    with page.expect_download() as download:
        page.get_by_role("link", name="Download PDF").click()
    assert (
        Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        and number.group() in download.value.suggested_filename
    )


def test_two_people_at_once_nobodys_words_are_lost(page_of) -> None:
    one, two = page_of("collector"), page_of("approver")
    first_draft(one)
    one.get_by_role("link", name="Edit", exact=True).click()
    two.goto(one.url)
    one.fill("input[name=text_subject]", "First")
    one.get_by_role("button", name="Save", exact=True).click()
    two.fill("input[name=text_subject]", "Second")
    two.get_by_role("button", name="Save", exact=True).click()
    assert "changed" in two.get_by_role("alert").inner_text()
    assert two.input_value("input[name=text_subject]") == "Second"
    two.get_by_role("button", name="Save", exact=True).click()
    assert two.get_by_role("status").inner_text() == "Saved."


def test_a_collector_does_not_close_and_a_viewer_does_nothing(page_of) -> None:
    page = page_of("collector")
    first_draft(page)
    assert page.get_by_role("button", name="Close", exact=True).count() == 0
    page = page_of("viewer")
    first_draft(page)
    assert page.locator("main form").count() == 0


def test_all_of_a_filter_are_closed_in_the_background(page_of) -> None:
    page = page_of("approver")
    page.goto("/statements?status=draft&currency=GBP")
    count = int(page.locator("main p.muted").first.inner_text().split()[0])
    assert count > 0
    page.check("input[name=which][value=filter]")
    page.locator("main button.primary", has_text="Close").click()
    assert page.get_by_text(f"{count} statements (all of the filter)").is_visible()
    page.get_by_role("button", name="Yes, go on").click()
    page.wait_for_selector(".badge.done", timeout=60_000)
    assert f"{count} closed, 0 refused" in page.locator("#job").inner_text()
    page.goto("/statements?status=draft&currency=GBP")
    assert page.get_by_text("No statement fits the filter.").is_visible()


def test_the_pdfs_of_the_selected_come_as_a_zip(page_of) -> None:
    page = page_of("collector")
    page.goto("/statements?status=draft")
    for box in page.locator("tbody input[type=checkbox]").all()[:2]:
        box.check()
    page.get_by_role("button", name="ZIP of PDFs").click()
    page.wait_for_selector(".badge.done", timeout=60_000)
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download", exact=True).click()
    assert Path(download.value.path()).read_bytes().startswith(b"PK")


def test_an_account_tells_its_story_and_why_it_is_dunned(page_of, keep) -> None:
    page = page_of("collector")
    first_draft(page)
    page.locator("h1 a").click()
    assert (
        page.get_by_role("heading", name="Unified profile").is_visible() and page.get_by_text("Open items").is_visible()
    )
    keep(page, "account")
    page.get_by_role("link", name="Why dunned, why not, next step").click()
    assert page.locator("tbody tr").count() > 0
    keep(page, "why")


def test_a_block_a_promise_and_a_note_are_recorded(page_of) -> None:
    page = page_of("collector")
    first_draft(page)
    page.locator("h1 a").click()
    page.fill("textarea[name=body]", "Called; <b>pays</b> on Friday.")
    page.get_by_role("button", name="Add note").click()
    assert "Called; <b>pays</b> on Friday." in page.locator("ol.timeline").inner_text()
    page.get_by_role("link", name="Block, promise, postpone, assign").click()
    page.locator("form[action$='/promise'] input[name=promised_for]").fill("2025-11-14")
    page.get_by_role("button", name="Record", exact=True).click()
    assert "The promise is recorded." in page.get_by_role("status").inner_text()
    page.locator("form[action$='/block'] input[name=reason]").fill("in talks")
    page.get_by_role("button", name="Block", exact=True).click()
    assert page.get_by_text("in talks").is_visible()
    page.locator("form[action$='/promise'] input[name=promised_for]").fill("2025-10-01")
    page.get_by_role("button", name="Record", exact=True).click()
    assert "today or later" in page.get_by_role("alert").inner_text()
    assert page.locator("input[name=promised_for]").input_value() == "2025-10-01"


def test_a_wrong_address_gives_back_what_was_typed(page_of) -> None:
    page = page_of("collector")
    first_draft(page)
    page.get_by_role("link", name="Edit", exact=True).click()
    page.fill("input[name=due_date]", "")
    page.fill("textarea[name=text_closing]", "Kept.")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_role("alert").is_visible() and page.input_value("textarea[name=text_closing]") == "Kept."


def test_a_run_is_started_and_its_results_are_seen(page_of) -> None:
    page = page_of("collector")
    page.goto("/runs")
    page.locator("main details summary").first.click()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_selector(".badge.done", timeout=120_000)
    page.goto("/runs")
    page.locator("tbody a.row").first.click()
    assert page.get_by_text("Statements of this run").is_visible()


def test_the_box_finds_an_invoice_an_account_and_an_address(page_of) -> None:
    page = page_of("viewer")
    first_draft(page)
    invoice = page.locator("tbody td:nth-child(2)").first.inner_text().split(" /")[0]
    name = page.locator("h1 a").inner_text()
    for wanted in (invoice, name):
        page.fill("input[name=q]", wanted)
        page.press("input[name=q]", "Enter")
        assert page.locator("main a.row").count() >= 1


def test_consent_is_shown_before_it_is_taken(page_of, tmp_path: Path) -> None:
    page = page_of("collector")
    page.goto("/consent")
    file = tmp_path / "no.csv"
    file.write_text("email,date\nnobody@nowhere.example,2025-10-01\n", encoding="utf-8")
    page.set_input_files("input[name=file]", str(file))
    page.get_by_role("button", name="Show what will change").click()
    assert page.get_by_text("nobody is created by a consent").is_visible()
    page.get_by_role("button", name="Take it over").click()
    assert "0 consents are new." in page.get_by_role("status").inner_text()


def test_the_calendar_the_campaigns_the_segments_and_the_reports_open(page_of, keep) -> None:
    page = page_of("approver")
    shown = {
        "/calendar": "calendar",
        "/calendar?view=week": "week",
        "/campaigns": "campaigns",
        "/segments": "segments",
        "/reports/ageing": "ageing",
        "/processes": "processes",
        "/audit": "audit",
        "/findings": "findings",
    }
    for path, name in shown.items():
        assert page.goto(path).status == 200
        keep(page, name)
    page.goto("/segments")
    page.get_by_role("link", name="overdue_1_30").click()
    page.get_by_role("button", name="Publish now").click()
    assert page.get_by_role("status").inner_text() == "Published."
    assert page.foreign == []


def test_every_page_reads_without_javascript_and_forms_work(page_of) -> None:
    page = page_of("collector", javascript=False)
    page.goto("/statements?status=draft")
    page.locator("tbody a.row").first.click()
    page.get_by_role("link", name="Edit", exact=True).click()
    page.fill("input[name=text_subject]", "Without script")
    page.get_by_role("button", name="Save", exact=True).click()
    assert page.get_by_role("status").inner_text() == "Saved."


def test_keys_lead_to_pages(page_of) -> None:
    page = page_of("viewer")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/statements")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.get_by_text("down and up in a list").is_visible()


def test_a_planned_campaign_is_dragged_to_another_day(page_of, keep) -> None:
    page = page_of("approver")
    page.goto("/campaigns/upcoming-due-dates")
    page.fill("input[name=at]", "2025-11-18T10:30")
    page.get_by_role("button", name="Plan one more").click()
    page.goto("/calendar?day=2025-11-18")
    event = page.locator("[data-day='2025-11-18'] .event[draggable=true]")
    event.drag_to(page.locator("[data-day='2025-11-20']"))
    page.get_by_role("status").get_by_text("Moved.").wait_for()
    moved = page.locator("[data-day='2025-11-20'] .event.campaign")
    assert "10:30" in moved.inner_text() and "upcoming-due-dates" in moved.inner_text()
    assert page.locator("[data-day='2025-11-18'] .event[draggable=true]").count() == 0
    keep(page, "calendar-moved")


def test_the_next_days_of_an_account_are_played_while_the_page_waits(page_of, keep) -> None:
    page = page_of("collector")
    first_draft(page)
    page.locator("h1 a").click()
    account = page.url
    page.get_by_role("link", name="Play the next days").first.click()
    page.fill("input[name=days]", "1")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_selector("#job table", timeout=60_000)
    assert page.get_by_text("Played from 3 Nov 2025 on for 1 days").is_visible()
    keep(page, "simulation")
    page.goto(account)
    page.get_by_role("link", name="Play the next days").first.click()
    assert page.locator("#job table").count() == 1  # what was played is kept


def test_an_invoice_is_dunned_by_hand_closed_and_voided(page_of) -> None:
    page = page_of("approver")
    page.goto("/accounts?q=GmbH")
    page.locator("tbody tr:has(td.num:nth-child(6):not(:empty)) a.row").first.click()
    page.get_by_role("link", name="new dunning").first.click()
    page.fill("input[name=level]", "1")
    page.get_by_role("button", name="Make the draft").click()
    assert page.get_by_role("status").inner_text() == "A draft is made for this invoice."
    page.get_by_role("button", name="Close", exact=True).click()
    assert page.get_by_role("status").inner_text() == "Closed."
    page.locator("form[action$='/void'] input[name=reason]").fill("agreed on the phone")
    page.get_by_role("button", name="Void", exact=True).click()
    assert "its postings are reversed" in page.get_by_role("status").inner_text()
    page.reload()
    assert page.get_by_role("status").count() == 0 and page.get_by_text("Voided: agreed on the phone").is_visible()


def test_findings_are_given_away_a_campaign_is_paused_and_a_report_is_mailed(page_of) -> None:
    page = page_of("approver")
    page.goto("/findings")
    page.locator("tbody input[type=checkbox]").first.check()
    page.select_option("select[name=assignee] >> nth=1", "collector")
    page.get_by_role("button", name="Give the selected to them").click()
    assert "1 findings are changed." in page.get_by_role("status").inner_text()
    page.goto("/findings?assignee=collector")
    assert page.locator("tbody input[type=checkbox]").count() == 1

    page.goto("/campaigns/plan-follow-up")
    page.get_by_role("button", name="Pause", exact=True).click()
    assert page.locator("h1 .badge").inner_text() == "paused"
    page.get_by_role("button", name="Resume", exact=True).click()
    assert page.locator("h1 .badge").inner_text() == "active"

    page.goto("/reports/ageing")
    with page.expect_download() as download:
        page.get_by_role("link", name="PDF", exact=True).click()
    assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
    page.fill("input[name=to]", "boss@northwind.example")
    page.get_by_role("button", name="Mail it").click()
    page.wait_for_selector(".badge.done", timeout=60_000)
    assert "mailed to boss@northwind.example" in page.locator("#job").inner_text()


def test_what_was_typed_into_a_form_outlives_the_session(page_of) -> None:
    page = page_of("collector")
    first_draft(page)
    page.get_by_role("link", name="Edit", exact=True).click()
    address = page.url
    page.fill("textarea[name=text_opening]", "We spoke on the phone.")
    page.context.clear_cookies(name="dunning_session")
    page.get_by_role("button", name="Save", exact=True).click()
    assert "your session has ended, and nothing was saved" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Text opening").input_value() == "We spoke on the phone."
    assert page.locator("input[name=next]").get_attribute("value") == address[address.index("/statements") :]
