"""Single letters as keys: each user switches them off for themselves, and it stays (WCAG 2.1.4)."""

from tests.console.world import Console

OFF = '<body data-keys="off">'


def test_a_user_switches_the_letter_keys_off_and_on_again(console: Console) -> None:
    assert (
        OFF not in console.get("/").text
        and 'href="/accounts?q=lee&amp;keys=off"' in console.get("/accounts?q=lee").text
    )
    chosen = console.get("/accounts?keys=off&page=2")
    assert OFF in chosen.text and "keys=off" not in chosen.text and "page=2&amp;keys=on" in chosen.text
    ((name, value),) = chosen.cookies.items()
    assert value == "off"

    def page(who: str, path: str = "/findings") -> str:
        headers = {"Cookie": f"dunning_session={console.tokens[who]}; {name}={value}"}
        return console.client.get(path, headers=headers).text

    assert OFF in page("admin") and "Switch them on" in page("admin")
    assert "in diesem Browser für Sie abgeschaltet" in page("admin", "/findings?language=de")
    assert OFF not in page("viewer")  # somebody else in the same browser
    assert OFF not in page("admin", "/findings?keys=on")
