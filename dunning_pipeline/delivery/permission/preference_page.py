"""The page behind the signed link: shows what an address gets, and takes a yes or no; one click is enough for a no."""

from datetime import datetime
from typing import Any

from jinja2 import Environment
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from dunning_pipeline.delivery.permission.consent import consents_of, record_consent
from dunning_pipeline.delivery.permission.preference_words import words_for
from dunning_pipeline.delivery.permission.preferences import address_of
from dunning_pipeline.ledger.engine import open_ledger, reading
from dunning_pipeline.settings.workspace import Workspace

CHOICES = ("campaigns", "dunning")
_PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="{{ language }}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer"><title>{{ words.title }}</title>
<style>
body{font:17px/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1b2430;background:#fff}
fieldset{border:1px solid #c6ccd4;border-radius:8px;padding:1rem 1.25rem}label{display:block;padding:.4rem 0}
button{font:inherit;padding:.6rem 1.2rem;border:0;border-radius:8px;background:#1f4f99;color:#fff;cursor:pointer}
.said{background:#e7f3ea;border-radius:8px;padding:.6rem 1rem}small{color:#4a5565}
@media(prefers-color-scheme:dark){body{background:#14181d;color:#e6e9ed}fieldset{border-color:#3c4652}
.said{background:#1d3325}small{color:#a9b4c0}}
</style></head><body>
<h1>{{ company }}</h1>
{% if saved %}<p class="said" role="status">{{ words.saved }}</p>{% endif %}
<p>{{ words.question }}<br><strong>{{ address }}</strong></p>
<form method="post"><fieldset><legend>{{ words.legend }}</legend>
{% for name in choices %}<label>
<input type="checkbox" name="{{ name }}" value="yes"{% if name in wanted %} checked{% endif %}>
 {{ words[name] }}</label>
{% endfor %}</fieldset>
<p><input type="hidden" name="form" value="preferences"><button>{{ words.save }}</button></p></form>
<p><small>{{ company }}, {{ postal }}</small></p></body></html>"""
)


def show_preferences(ws: Workspace, token: str, *, accepted: str = "", saved: bool = False) -> Response:
    """The page in the language that the browser asks for (`accepted`: its Accept-Language), else the company's; looking
    at it changes nothing, because mail scanners open every link. Raises Refused."""
    address = address_of(ws, token)
    with reading(open_ledger(ws)) as connection:
        said = consents_of(connection, [address], channel="email")
    wanted = [name for name in CHOICES if said.get((address, name), _unsaid(ws, name)) == "opt_in"]
    where = ws.company.address
    language, words = words_for(accepted, ws.company.default_language)
    page = _PAGE.render(
        language=language,
        words=words,
        company=ws.company.name,
        address=address,
        choices=CHOICES,
        wanted=wanted,
        saved=saved,
        postal=f"{where.street}, {where.postal_code} {where.city}, {where.country}",
    )
    return HTMLResponse(page, headers={"Cache-Control": "no-store", "Vary": "Accept-Language"})


def answer_preferences(
    ws: Workspace, token: str, form: dict[str, str], *, now: datetime, accepted: str = ""
) -> Response:
    """Take the choice: `List-Unsubscribe=One-Click` (RFC 8058) is a no to notices. Raises Refused."""
    address = address_of(ws, token)
    one_click = form.get("List-Unsubscribe") == "One-Click"
    if not one_click and form.get("form") != "preferences":
        return PlainTextResponse("nothing was chosen", status_code=400)
    choices: dict[str, Any] = {"campaigns": False} if one_click else {name: form.get(name) == "yes" for name in CHOICES}
    with open_ledger(ws).begin() as connection:
        known = consents_of(connection, [address], channel="email")
        for name, is_wanted in choices.items():
            status = "opt_in" if is_wanted else "opt_out"
            if known.get((address, name), _unsaid(ws, name)) != status:
                record_consent(
                    connection,
                    address,
                    channel="email",
                    subscription=name,
                    status=status,
                    consented_at=now,
                    origin="one-click unsubscribe" if one_click else "preference page",
                    recorded_at=now,
                )
    return (
        PlainTextResponse("unsubscribed") if one_click else show_preferences(ws, token, accepted=accepted, saved=True)
    )


def _unsaid(ws: Workspace, subscription: str) -> str:
    """What silence means."""
    is_no = subscription == "dunning" and ws.company.consent_for_dunning == "required"
    return "opt_out" if is_no else "opt_in"
