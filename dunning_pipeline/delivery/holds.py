"""Why a send is held, in words, and what ends it: for lists, the console and JSON."""

from collections.abc import Mapping
from typing import Any

from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.errors import InvalidInput

# reason of the gate → what is the matter, and what a person may do; empty where time alone ends it
HELD = {
    "invalid_address": (
        "what the source has is no address or number",
        "correct it at the source; another one is reached now by `dunning statement send NUMBER --again --to ADDRESS`",
    ),
    "suppressed": (
        "this address bounced or is no mailbox, its owner complained, or somebody here barred it",
        "where that is over, lift it with `dunning suppress --lift`",
    ),
    "consent": ("its reader has opted out, or has not opted in where that is needed", "write by another channel"),
    "block": (
        "what it asks for is blocked, promised for a later day, postponed or partly settled",
        "it is judged anew at each sending; nothing is to be done",
    ),
    "dispute": ("what it asks for is disputed", "it is judged anew at each sending; nothing is to be done"),
    "reminder_left": (
        "a reminder of its statement left while it waited: whoever got that may have paid already",
        "cancel it, or charge all the same with `dunning statement send NUMBER --again --channel payment_retry`",
    ),
    "not_configured": ("no way out is configured for its channel", "see `dunning doctor`"),
    "sandbox": ("the provider checked it and sent it to nobody", "send for real with `SENDGRID_SANDBOX` unset"),
    "payment_data_old": ("payments were read too long ago to remind anybody", "read them with `dunning daily`"),
    "facts_unpublished": ("newer data was read and is not published yet", "publish it with `dunning build`"),
    "campaign_paused": ("its campaign is paused", "let it go on with `dunning campaign resume NAME`"),
    "quiet_hours": ("it waits for an hour at which its reader may be written to", ""),
    "no_common_hour": (
        "its reader may be in several zones, and no hour of the day is allowed in all of them",
        "correct the time zone of the account at the source, or widen `sms_hours` in policies/company.yaml",
    ),
    "weekend": ("it waits for the next working day", ""),
    "holiday": ("it waits for the next working day", ""),
}


def explained(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is the matter with a held send, and the remedy (empty where time is it); None for any other send."""
    if row["status"] != "held" or row["reason"] not in HELD:
        return None
    words, remedy = HELD[row["reason"]]
    if row["reason"] == "invalid_address":
        for address in row["recipients"].get("to") or ():
            try:
                normal(address, row["channel"])
            except InvalidInput as error:
                return str(error), remedy
    return words, remedy
