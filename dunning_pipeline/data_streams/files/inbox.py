"""Finds the files of an object in the inbox, orders them into extracts, and reads their .done markers."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.errors import InvalidInput

_SUFFIXES = r"(?:csv|csv\.gz|txt|txt\.gz|parquet|json)"
_STAMP = re.compile(
    r"(?<!\d)(20\d{2})[-_.]?(\d{2})[-_.]?(\d{2})(?:[-_.T]?(\d{2})[-_.:]?(\d{2})(?:[-_.:]?(\d{2}))?)?(?!\d)"
)


@dataclass(frozen=True)
class InboxFile:
    path: Path
    stamp: str  # digits of the date in its name; empty where there is none
    size: int
    modified_ns: int

    @property
    def fingerprint(self) -> tuple[str, int, int]:
        return (self.path.name, self.size, self.modified_ns)


def files_of(folder: Path, stream: StreamSource, name: str) -> list[InboxFile]:
    """Files named `<Object>.<suffix>` or `<Object>[-_.]….<suffix>`, never those of an object with a longer name."""
    base = stream.objects[name].file or name
    pattern = re.compile(rf"{re.escape(base)}(?P<rest>[-_.].*)?\.{_SUFFIXES}", re.IGNORECASE)
    longer = [
        other.file or key
        for key, other in stream.objects.items()
        if (other.file or key).lower().startswith(base.lower()) and key != name
    ]
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = pattern.fullmatch(path.name)
        if match is None or not path.is_file() or path.name.endswith("-plan.json"):
            continue
        if any(_is_of(path.name, other) for other in longer):
            continue
        dated = _STAMP.search(match["rest"] or "")
        state = path.stat()
        stamp = "".join(part or "" for part in dated.groups()) if dated else ""
        found.append(InboxFile(path, stamp, state.st_size, state.st_mtime_ns))
    return found


def _is_of(file_name: str, base: str) -> bool:
    return re.fullmatch(rf"{re.escape(base)}([-_.].*)?\.{_SUFFIXES}", file_name, re.IGNORECASE) is not None


def extracts_of(files: list[InboxFile]) -> list[list[InboxFile]]:
    """Files grouped into extracts, oldest first: same date in the name, or none, means parts of one extract."""
    groups: dict[str, list[InboxFile]] = {}
    for file in files:
        groups.setdefault(file.stamp, []).append(file)
    if "" in groups:  # undated files stand in line by when they were written
        return sorted(groups.values(), key=lambda group: (max(file.modified_ns for file in group), group[0].stamp))
    return [groups[stamp] for stamp in sorted(groups)]


@dataclass(frozen=True)
class DoneMarker:
    size: int | None
    rows: int | None


def done_marker(file: Path) -> DoneMarker | None:
    """What `<file>.done` (or `<name>.done`) declares: JSON or `size=…`/`rows=…` lines; None without a marker.

    Raises InvalidInput for a marker that declares neither.
    """
    for marker in (file.with_name(file.name + ".done"), file.with_name(file.name.split(".")[0] + ".done")):
        if marker.is_file():
            text = marker.read_text(encoding="utf-8", errors="replace")
            if not text.strip():
                return DoneMarker(None, None)
            return _parsed(text, marker)
    return None


def _parsed(text: str, marker: Path) -> DoneMarker:
    try:
        tree = json.loads(text)
    except ValueError:
        tree = None
    pairs = tree if isinstance(tree, dict) else dict(re.findall(r"(\w+)\s*[:=]\s*(\d+)", text))
    lower = {str(key).lower(): value for key, value in pairs.items()}
    size = next((lower[key] for key in ("size", "bytes", "size_bytes") if key in lower), None)
    rows = next((lower[key] for key in ("rows", "row_count", "rowcount", "records") if key in lower), None)
    if size is None and rows is None:
        raise InvalidInput(
            "the marker declares neither size nor rows",
            file=marker,
            remedy='write {"size": bytes, "rows": number of rows without the header}',
        )
    return DoneMarker(None if size is None else int(size), None if rows is None else int(rows))
