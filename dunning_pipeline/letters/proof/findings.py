"""What a template check says: one sentence with its place, as an error (do not send this) or a warning."""

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """`check` is the name of the rule: size, contrast, alt, links, address, …"""

    template: str
    channel: str
    language: str
    severity: Literal["error", "warning"]
    check: str
    message: str

    def row(self) -> dict[str, Any]:
        return asdict(self)
