"""The exceptions of the product: each says what happened, where, and what to do about it.

DunningError
├── InvalidDeclaration   a YAML, SQL or template file of the analyst is wrong (file, line, column)
├── InvalidInput         an option or a value given by a person or a source is wrong
├── Refused              the operation is understood and must not be done (closed statement, stale version …)
├── Busy                 somebody else is doing it; try again later
└── NotThere             what was named does not exist
"""

from pathlib import Path
from typing import Literal

Retry = Literal["later", "never", "unknown"]


class DunningError(Exception):
    """An error that a person can act on.

    `where` is shown before the message as file:line:column, `remedy` after it; `retry` says whether the same call
    may succeed later.
    """

    retry: Retry = "never"

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file, self.line, self.column = file, line, column
        self.value = value
        self.remedy = remedy

    @property
    def where(self) -> str:
        if self.file is None:
            return ""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.value is not None:
            text += f" (value: {self.value!r})"
        return f"{text}\n  → {self.remedy}" if self.remedy else text


class InvalidDeclaration(DunningError):
    pass


class InvalidInput(DunningError):
    pass


class Refused(DunningError):
    pass


class Busy(DunningError):
    retry = "later"


class NotThere(DunningError):
    pass
