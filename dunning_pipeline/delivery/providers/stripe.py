"""Payment retries through Stripe's official client: an off-session charge under our key as idempotency key."""

import os
from typing import Any

from dunning_pipeline.delivery.providers.http import checked_host
from dunning_pipeline.delivery.providers.protocol import Answer, Message, shorten
from dunning_pipeline.delivery.providers.wire import read_seconds
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.money import amount_text, from_minor
from dunning_pipeline.settings.workspace import Workspace

# Where Stripe counts in another unit than ISO 4217 does: decimals there (docs.stripe.com/currencies).
_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}
# It takes three decimals, and the last one only as 0.
_STEPS_OF_TEN = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
# succeeded: paid. processing: a debit that takes days; the webhook tells.
TAKEN = ("succeeded", "processing")


class StripePayments:
    """`STRIPE_API_KEY`, `STRIPE_HOST`. The message's facts carry amount_minor, currency, customer, payment_method."""

    name = "stripe"

    def __init__(self, api_key: str, *, host: str | None = None) -> None:
        try:
            import stripe
        except ImportError:
            raise InvalidInput(
                "payment retries need the stripe package", remedy="pip install 'dunning-pipeline[payments]'"
            ) from None
        addresses: Any = {"api": checked_host(host, "STRIPE_HOST")} if host else {}
        self._client = stripe.StripeClient(
            api_key,
            base_addresses=addresses,
            max_network_retries=0,
            http_client=stripe.RequestsClient(timeout=read_seconds()),
        )

    @classmethod
    def from_environment(cls, ws: Workspace) -> "StripePayments":
        return cls(os.environ["STRIPE_API_KEY"], host=os.environ.get("STRIPE_HOST"))

    def send(self, message: Message) -> Answer:
        facts = message.facts
        if not facts.get("customer") or not facts.get("payment_method"):
            missing = "the account has no active means of payment"
            return Answer("failed", status="no_payment_method", detail=missing, declined=True)
        try:
            amount = amount_at_stripe(int(facts["amount_minor"]), str(facts["currency"]))
        except InvalidInput as error:
            return Answer("failed", status="amount", detail=error.message)
        import stripe

        try:
            made = self._client.v1.payment_intents.create(
                params={
                    "amount": amount,
                    "currency": str(facts["currency"]).lower(),
                    "customer": facts["customer"],
                    "payment_method": facts["payment_method"],
                    "off_session": True,
                    "confirm": True,
                    "error_on_requires_action": True,
                    "metadata": {"dunning_key": message.key},
                },
                options={"idempotency_key": message.key},
            )
        except stripe.StripeError as error:
            return _refusal(error)
        if made.status in TAKEN:
            return Answer("sent", status=made.status, message_id=made.id)
        return Answer("failed", status=made.status, detail=f"the payment is {made.status}", declined=True)

    def close(self) -> None:
        pass


def amount_at_stripe(amount_minor: int, currency: str) -> int:
    """Our minor units (ISO 4217) in those that Stripe counts in. Raises InvalidInput for what it cannot charge."""
    if currency in _STEPS_OF_TEN and amount_minor % 10:
        raise InvalidInput(f"Stripe charges {currency} in steps of 0.010, not {amount_text(amount_minor, currency)}")
    decimals = _DECIMALS.get(currency)
    if decimals is None:
        return amount_minor
    charged = from_minor(amount_minor, currency).scaleb(decimals)
    if charged != int(charged):
        raise InvalidInput(f"Stripe charges {currency} without decimals, not {amount_text(amount_minor, currency)}")
    return int(charged)


def _refusal(error: Any) -> Answer:
    import stripe

    status = error.http_status
    told: dict[str, Any] = {
        "status": str(status or type(error).__name__),
        "detail": shorten(error.user_message or str(error)),
    }
    if isinstance(error, stripe.CardError):
        said = (error.json_body or {}).get("error", {}) if isinstance(error.json_body, dict) else {}
        code = said.get("decline_code") or error.code
        return Answer("failed", status=str(status), detail=shorten(f"declined: {code}"), declined=True)
    if isinstance(error, stripe.APIConnectionError):
        cause = str(error).lower()
        refused = "refused" in cause or "newconnectionerror" in cause or "name or service" in cause
        return Answer("refused" if refused else "unknown", **told)
    if status in (401, 403):
        return Answer("locked_out", **told)
    if status in (429, 503, 409):  # 409: the same key is being worked on this moment
        return Answer("refused", **told)
    return Answer("failed" if status and 400 <= status < 500 else "unknown", **told)
