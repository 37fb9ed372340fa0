"""What one load of one object did; the rows of `dunning ingest` and of the ledger's stream_loads."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Progress = Callable[[str, int, int], None]  # text, done, total


@dataclass
class LoadReport:
    """`rows_read` = `rows_loaded` + `rows_rejected`; `rows_changed` of them were new or different.

    `rows_closed` are rows that left: deleted in the source, or absent from a full extract. A failed object carries
    `error`; its previous rows stay.
    """

    source: str
    object: str
    status: Literal["loaded", "unchanged", "failed"] = "loaded"
    rows_read: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    rows_closed: int = 0
    reject_file: str | None = None
    rows_changed: int = 0
    files: list[str] = field(default_factory=list)
    unknown_columns: list[str] = field(default_factory=list)
    missing_columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    watermark: str | None = None
    error: str | None = None
    content: str = ""  # names what this load put in place; finding the same files again keeps the name

    def as_row(self) -> dict[str, Any]:
        return asdict(self)
