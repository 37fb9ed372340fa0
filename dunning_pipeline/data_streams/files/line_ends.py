"""Gives one kind of line end to a file whose lines end in different ways, as spreadsheets and shells together do."""

from dataclasses import replace
from pathlib import Path

from dunning_pipeline.data_streams.files.file_text import ReadableFile, opened_bytes
from dunning_pipeline.errors import InvalidInput

_CHUNK_BYTES = 1 << 20


def with_one_line_end(file: ReadableFile, original: Path, scratch: Path) -> ReadableFile | None:
    """A copy in `scratch` whose rows all end in a line feed, on the same lines; None where they ended alike.

    What stands in quotes stays as it is. Raises InvalidInput for a carriage return alone (it may end a row, or be part
    of a value that should stand in quotes), and where a quote is never closed.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    copy = scratch / f"{file.path.name.removesuffix('.gz')}.lines"
    quote, is_quoted = file.quote.encode(), False
    pairs = breaks = line = 0
    with opened_bytes(file.path) as stream, copy.open("wb") as out:
        while chunk := stream.read(_CHUNK_BYTES):
            if chunk.endswith(b"\r"):
                chunk += stream.read(1)
            parts = chunk.split(quote)
            for place, part in enumerate(parts):
                if not is_quoted and b"\r" in part:
                    plain = part.replace(b"\r\n", b"\n")
                    if (lone := plain.find(b"\r")) >= 0:
                        raise _lone(original, line + plain.count(b"\n", 0, lone) + 1)
                    pairs += len(part) - len(plain)
                    parts[place] = plain
                line += part.count(b"\n")
                breaks += 0 if is_quoted else part.count(b"\n")
                is_quoted ^= place < len(parts) - 1
            out.write(quote.join(parts))
    if is_quoted and 0 < pairs < breaks:
        raise InvalidInput(
            "its lines end in different ways, and a quote is opened that nothing closes",
            file=original,
            remedy="deliver it with one kind of line end; a quote inside a value is written twice",
        )
    return replace(file, path=copy) if 0 < pairs < breaks else None


def _lone(original: Path, line: int) -> InvalidInput:
    return InvalidInput(
        "a carriage return without a line feed: it may end a row, or belong to a value",
        file=original,
        line=line,
        remedy="deliver the file with one kind of line end, and put values that hold one into quotes",
    )
