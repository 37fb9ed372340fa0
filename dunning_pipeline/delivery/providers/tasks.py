"""Tasks for other systems (call this debtor, hand over to the agency): one JSON POST under our idempotency key."""

import os

import orjson

from dunning_pipeline.delivery.providers.http import checked_host, classify
from dunning_pipeline.delivery.providers.protocol import Answer, Message
from dunning_pipeline.delivery.providers.wire import Request, Wire
from dunning_pipeline.errors import InvalidInput


class TaskWebhook:
    """`DUNNING_TASK_URL`, with `DUNNING_TASK_TOKEN` as bearer token; any of 200, 201, 202 and 204 means taken."""

    name = "tasks"

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self._url = checked_host(url, "DUNNING_TASK_URL")
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._wire = Wire()

    @classmethod
    def from_environment(cls) -> "TaskWebhook":
        url = os.environ.get("DUNNING_TASK_URL")
        if not url:
            raise InvalidInput("DUNNING_TASK_URL is not set")
        return cls(url, token=os.environ.get("DUNNING_TASK_TOKEN"))

    def send(self, message: Message) -> Answer:
        body = orjson.dumps({"key": message.key, **message.facts}, default=str)
        headers = {**self._headers, "Idempotency-Key": message.key}
        response = self._wire.request(Request("POST", self._url, body, headers))
        if isinstance(response, Answer):
            return response
        return classify(
            response.status, response.headers, response.data, accepted=(200, 201, 202, 204), message_id=message.key
        )

    def close(self) -> None:
        self._wire.close()
