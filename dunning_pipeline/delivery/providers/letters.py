"""Letters leave by being written as PDF to a target folder, where a printer or a print service takes them."""

import os
from collections.abc import Sequence
from pathlib import Path

from dunning_pipeline.delivery.providers.outbox import Outbox
from dunning_pipeline.delivery.providers.protocol import Answer, Message
from dunning_pipeline.settings.workspace import Workspace


class LetterFolder:
    """`DUNNING_LETTER_FOLDER`, else the outbox; one `<key>.pdf` and `<key>.json` per letter, by name idempotent."""

    name = "letters"

    def __init__(self, ws: Workspace) -> None:
        given = os.environ.get("DUNNING_LETTER_FOLDER")
        self._folder = Outbox(Path(given) if given else ws.outbox)

    def send_batch(self, messages: Sequence[Message]) -> list[Answer]:
        return self._folder.send_batch(messages)

    def has(self, key: str) -> bool:
        return self._folder.has(key)

    def close(self) -> None:
        self._folder.close()
