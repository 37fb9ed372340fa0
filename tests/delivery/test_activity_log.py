"""SendGrid's Email Activity API settles what is unknown: proof that a message arrived there, never proof that not."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from openapi_schema_validator import OAS31Validator

from dunning_pipeline.delivery.working.resolving import ask_provider
from dunning_pipeline.delivery.working.worker import deliver
from dunning_pipeline.errors import NotThere
from tests.delivery.desk import NOW, Desk
from tests.delivery.provider_server import ProviderServer, Reply, Request

FOUND = {
    "from_email": "ar@northwind.example", "msg_id": "m1", "subject": "Reminder", "to_email": "acme@example.com",
    "status": "delivered", "opens_count": 0, "clicks_count": 0, "last_event_time": "2025-11-04T09:00:00Z",
}  # fmt: skip


@pytest.fixture
def sendgrid(sendgrid: ProviderServer) -> ProviderServer:
    sendgrid.behaviour = lambda request, number: Reply(500)
    return sendgrid


def log_of(*keys: str, status: int = 200):
    """Answers the API's query by the messages of these keys."""

    def answer(request: Request, number: int) -> Reply:
        [query] = parse_qs(urlsplit(request.path).query)["query"]
        messages = [FOUND] if any(query == f'unique_args["dunning_key"]="{key}"' for key in keys) else []
        return Reply(status, body=json.dumps({"messages": messages}).encode())

    return answer


def test_what_the_log_knows_is_sent_and_the_rest_stays_unknown(desk: Desk, sendgrid: ProviderServer) -> None:
    arrived, silent = desk.message("acme"), desk.message("other")
    assert deliver(desk.ws, now=NOW)["unknown"] == 2
    sendgrid.behaviour = log_of(arrived)

    assert ask_provider(desk.ws, "all", now=NOW, actor="clerk")[arrived] == "sent"
    assert desk.send(arrived)["status"] == "sent"
    assert desk.send(silent)["status"] == "unknown"
    with pytest.raises(NotThere):
        ask_provider(desk.ws, arrived, now=NOW, actor="clerk")  # settled already


def test_a_log_that_does_not_answer_changes_nothing(desk: Desk, sendgrid: ProviderServer) -> None:
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)
    for status in (403, 429, 500):
        sendgrid.behaviour = log_of(key, status=status)
        ask_provider(desk.ws, key, now=NOW, actor="clerk")
        assert desk.send(key)["status"] == "unknown"


def test_the_request_and_the_answer_are_those_of_the_contract(
    desk: Desk, sendgrid: ProviderServer, shared_data: Path
) -> None:
    contract = json.loads((shared_data / "contracts/sendgrid/tsg_email_activity_v3.json").read_text())
    asked = contract["paths"]["/v3/messages"]["get"]
    key = desk.message("acme")
    deliver(desk.ws, now=NOW)
    sendgrid.behaviour = log_of(key)
    ask_provider(desk.ws, key, now=NOW, actor="clerk")

    [request] = [one for one in sendgrid.requests if one.method == "GET"]
    assert urlsplit(request.path).path == "/v3/messages" and request.headers["authorization"] == "Bearer SG.test"
    given = parse_qs(urlsplit(request.path).query)
    assert set(given) <= {parameter["name"] for parameter in asked["parameters"]}
    assert {parameter["name"] for parameter in asked["parameters"] if parameter.get("required")} <= set(given)
    said = {**contract, **asked["responses"]["200"]["content"]["application/json"]["schema"]}
    assert list(OAS31Validator(said).iter_errors({"messages": [FOUND]})) == []
