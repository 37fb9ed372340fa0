"""Signs webhook bodies as SendGrid does, with a key pair of the test."""

import base64
import time
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dunning_pipeline.delivery.events.sendgrid import SIGNATURE, TIMESTAMP


class Signer:
    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = self._private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public_key = base64.b64encode(public).decode()

    def headers(self, body: bytes, *, age_seconds: int = 0) -> dict[str, str]:
        stamp = str(int(time.time()) - age_seconds)
        signature = self._private.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: stamp}


def event(name: str, key: str | None = None, *, identity: str | None = None, **more: Any) -> dict[str, Any]:
    told = {
        "email": "acme@example.com",
        "timestamp": int(time.time()),
        "event": name,
        "sg_event_id": identity or f"{key}-{name}",
        "sg_message_id": f"{key}.filter0",
        **more,
    }
    return told | ({"dunning_key": key} if key else {})


def body_of(*events: dict[str, Any]) -> bytes:
    return orjson.dumps(list(events)) + b"\r\n"
