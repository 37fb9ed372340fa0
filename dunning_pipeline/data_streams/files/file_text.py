"""Makes a file readable as UTF-8 CSV: encoding by mark, declaration or evidence; header names; JSON flattened."""

import codecs
import csv
import gzip
import io
import json
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy

from dunning_pipeline.data_streams.declaration import Format
from dunning_pipeline.errors import InvalidInput

_SAMPLE_BYTES = 1 << 20
_LINE_BREAK = ord("\n")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True)
class ReadableFile:
    path: Path  # UTF-8, perhaps a copy
    encoding: str  # of the original
    has_nul: bool  # or may have
    delimiter: str
    quote: str


@contextmanager
def opened_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked; raises InvalidInput where it cannot be read."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidInput(f"cannot be read: {error}", file=path, remedy="deliver the file again") from None


def line_count(path: Path) -> int:
    """Physical lines, the last one also without its line break."""
    breaks, last = 0, b"\n"
    with opened_bytes(path) as stream:
        while chunk := stream.read(_SAMPLE_BYTES):
            breaks, last = breaks + int(numpy.count_nonzero(numpy.frombuffer(chunk, numpy.uint8) == _LINE_BREAK)), chunk
    return breaks + (not last.endswith(b"\n"))


def readable(path: Path, form: Format, scratch: Path, *, encoding: str | None = None) -> ReadableFile:
    """`path` as UTF-8: itself, or a converted copy in `scratch`. `encoding` overrides the declaration.

    Raises InvalidInput for an empty file, and for one whose bytes are not in the declared encoding.
    """
    if form.file_type == "json" or path.suffix == ".json":
        return ReadableFile(_flattened(path, scratch), "utf-8", False, ",", '"')
    with opened_bytes(path) as stream:
        sample = stream.read(_SAMPLE_BYTES)
    if not sample.strip(b"\xef\xbb\xbf \r\n\t\0"):
        raise InvalidInput("the file is empty: not even a header", file=path, remedy="deliver it again with its header")
    found = encoding or _encoding(path, sample, form.encoding)
    if found in ("utf-8", "utf-8-sig"):
        return ReadableFile(path, found, _has_nul(path), form.delimiter, form.quote)
    return ReadableFile(_converted(path, found, scratch), found, True, form.delimiter, form.quote)


def _encoding(path: Path, sample: bytes, declared: str) -> str:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    name = declared.lower().replace("_", "-")
    if name == "auto":
        return guessed_encoding(sample, path)
    if name in ("utf8", "utf-8", "utf-8-sig"):
        return "utf-8"
    try:
        codecs.lookup(name)
    except LookupError:
        raise InvalidInput(f"encoding {declared!r} is unknown", file=path) from None
    if not sample.isascii() and not name.startswith("utf") and _is_utf8(sample):
        raise InvalidInput(
            f"declared as {declared}, but its bytes are UTF-8", file=path, remedy="declare `encoding: utf-8` or auto"
        )
    return name


def guessed_encoding(sample: bytes, path: Path) -> str:
    """UTF-8, UTF-16 without a mark, or cp1252; raises InvalidInput where none of them can be."""
    if sample[1:200:2].count(0) > 40:
        return "utf-16-le"
    if sample[0:200:2].count(0) > 40:
        return "utf-16-be"
    if _is_utf8(sample):
        return "utf-8"
    from charset_normalizer import from_bytes

    if from_bytes(sample[:200_000], cp_isolation=["cp1252"]).best() is None:
        raise InvalidInput(
            "the encoding is neither UTF-8, UTF-16 nor cp1252", file=path, remedy="declare `encoding` of the stream"
        )
    return "cp1252"


def _is_utf8(sample: bytes) -> bool:
    try:
        # the sample may end inside a character
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _has_nul(path: Path) -> bool:
    if path.suffix == ".gz":
        return True  # unknown without unpacking it: the rows are looked at instead
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(b"\0") >= 0


def _converted(path: Path, encoding: str, scratch: Path) -> Path:
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / f"{path.name.removesuffix('.gz')}.utf8"
    try:
        with opened_bytes(path) as stream, copy.open("w", encoding="utf-8", newline="") as out:
            reader = io.TextIOWrapper(stream, encoding=encoding, newline="")
            while chunk := reader.read(_SAMPLE_BYTES):
                out.write(chunk)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"byte {error.object[error.start]:#04x} is not {encoding}", file=path, remedy="declare its `encoding`"
        ) from None
    return copy


def header_of(file: ReadableFile, original: Path) -> list[str]:
    """The header's names, trimmed; raises InvalidInput for a blank or doubled name."""
    with opened_bytes(file.path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        names = [name.strip() for name in next(csv.reader(text, delimiter=file.delimiter, quotechar=file.quote), [])]
    seen: set[str] = set()
    for place, name in enumerate(names, start=1):
        if not name:
            raise InvalidInput("the header has a column without a name", file=original, line=1, column=place)
        if name.lower() in seen:
            raise InvalidInput("the header names a column twice", file=original, line=1, column=place, value=name)
        seen.add(name.lower())
    return names


def _flattened(path: Path, scratch: Path) -> Path:
    """A JSON array, or an object with `records`, as CSV; nested objects become `outer.inner` columns."""
    try:
        with opened_bytes(path) as stream:
            tree: Any = json.loads(stream.read())
    except ValueError as error:
        raise InvalidInput(f"not JSON: {error}", file=path) from None
    records = tree.get("records") if isinstance(tree, dict) else tree
    if not isinstance(records, list):
        raise InvalidInput("neither an array nor an object with `records`", file=path)
    rows = [dict(_leaves(record)) for record in records]
    names = list(dict.fromkeys(name for row in rows for name in row))
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / f"{path.name}.csv"
    with copy.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return copy


def _leaves(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", json.dumps(value) if isinstance(value, list) else value
