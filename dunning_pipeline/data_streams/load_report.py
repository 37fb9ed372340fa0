"""What one load of one object did; the rows of `dunning ingest` and of the ledger's stream_loads."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Progress = Callable[[str, int, int], None]  # text, done, total
MANY_CLOSED, FEW_CLOSED = 0.02, 2  # of an extract's rows as many do not vanish in a day; so few may, of a small one


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

    @property
    def doubt(self) -> str | None:
        """What a person should look at although the load went through: an older extract takes rows back."""
        if self.rows_closed <= max(FEW_CLOSED, MANY_CLOSED * self.rows_loaded):
            return None
        return (
            f"{self.rows_closed} rows that were there are gone, deleted or not in the extract; "
            "if it is an older one, press `dunning send stop` and deliver the newest"
        )

    def as_row(self) -> dict[str, Any]:
        return asdict(self)
