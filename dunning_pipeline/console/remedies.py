"""Remedies of the product name commands of the shell; a clerk reads the page or the button that does the same."""

import re

# whole sentences where the page has a button for it
SAID = {
    "say why, with --reason": "say why",
    "close it first with `dunning statement close`": "close it first, with the button “Close” on its page",
    "delete a draft with `dunning statement delete`": "delete a draft with the button “Delete draft” on its page",
    "delete its drafts first (`dunning statement delete --run`); closed statements stay": (
        "delete its drafts first, in the list of its statements; closed statements stay"
    ),
    "cancel it with `dunning send cancel`, or send it again deliberately (a resend)": (
        "tick “Send again on purpose” if it is meant to go out once more"
    ),
    "an unknown one is settled with `dunning send resolve KEY sent|not-sent`": (
        "one that is unknown is settled on its page under “Sends”"
    ),
    "charge anew with `dunning statement send NUMBER --again --channel payment_retry`": (
        "ask whoever runs the system to charge anew"
    ),
    "cancel it, or charge all the same with `dunning statement send NUMBER --again --channel payment_retry`": (
        "cancel it, or ask whoever runs the system to charge all the same"
    ),
}
# the first word of a command → the page
PAGES = {
    "campaign": "Campaigns",
    "calendar": "Marketing calendar",
    "charge": "Accounts",
    "block": "Accounts",
    "promise": "Accounts",
    "consent": "Consent and suppressions",
    "suppress": "Consent and suppressions",
    "process": "Processes and templates",
    "template": "Processes and templates",
    "profile": "Unified profiles",
    "report": "Reports",
    "run": "Runs",
    "runs": "Runs",
    "segment": "Segments",
    "send": "Sends",
    "statement": "Statements",
}
_COMMAND = re.compile(r"`dunning (\w+)[^`]*`")


def for_clerk(remedy: str) -> str:
    """The remedy without commands: each becomes the page, or a request to whoever runs the system."""
    if remedy in SAID:
        return SAID[remedy]
    said = _COMMAND.sub(lambda found: f"the page “{PAGES[found[1]]}”" if found[1] in PAGES else found[0], remedy)
    return f"ask whoever runs the system: {said}" if _COMMAND.search(said) else said
