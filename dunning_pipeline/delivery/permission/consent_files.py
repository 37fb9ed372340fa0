"""Reads consent CSVs: one file is one channel, subscription and status; column 1 who, column 2 when."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dunning_pipeline.delivery.permission.consent import consents_of, record_many
from dunning_pipeline.delivery.permission.contact_points import normal
from dunning_pipeline.delivery.permission.known_points import known_points
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.bulk import chunks
from dunning_pipeline.ledger.engine import open_ledger
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.spreadsheets import safe_cell

# domain §2.3: yyyy-MM-dd HH:mm:ss.SSSZ, MM/dd/yyyy HH:mm:ss, MM/dd/yyyy and M/dd/yyyy, yyyy-MM-dd
DATE_FORMATS = ("%Y-%m-%d %H:%M:%S.%f%z", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y", "%Y-%m-%d")
EARLIEST_YEAR = 1900  # what exports write for "no date" (0001-01-01, 1899-12-30) is none
CHUNK_ROWS = 2_000
SHOWN_CHANGES = 200


@dataclass
class ConsentReport:
    """`rows_read` = `rows_loaded` + `rows_rejected`; `rows_new` of the loaded ones changed what is known."""

    file: Path
    rows_read: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    rows_new: int = 0
    reject_file: str | None = None
    rejects: list[tuple[int, str, str, str]] = field(default_factory=list)  # line, column, value, reason


@dataclass(frozen=True)
class Said:
    line: int
    point: str
    at: datetime


def import_file(
    ws: Workspace,
    file: Path,
    *,
    channel: str,
    subscription: str,
    status: str,
    now: datetime,
    delimiter: str = ",",
    encoding: str = "auto",
    date_format: str | None = None,
) -> ConsentReport:
    """Record what the file says; rows that cannot be read, and contact points that nobody has, become rejects.

    Importing again changes nothing. Dates without a zone are of the company's zone. Raises InvalidInput for a file
    that is no CSV of at least two columns.
    """
    said, report = _read_file(
        ws,
        file,
        channel=channel,
        status=status,
        now=now,
        delimiter=delimiter,
        encoding=encoding,
        date_format=date_format,
    )
    for chunk in chunks(said, CHUNK_ROWS):
        with open_ledger(ws).begin() as connection:
            report.rows_new += _record(connection, file, chunk, channel, subscription, status, now)
    report.rows_loaded = len(said)
    _write_rejects(ws, report)
    return report


def judge_file(
    ws: Workspace, file: Path, *, channel: str, subscription: str, status: str, now: datetime
) -> tuple[list[dict[str, str | None]], ConsentReport]:
    """What importing the file would change, rolled back: the first rows (contact point, before, after, at), the report.

    Raises as import_file does.
    """
    said, report = _read_file(ws, file, channel=channel, status=status, now=now)
    report.rows_loaded = len(said)
    first = said[:SHOWN_CHANGES]
    with open_ledger(ws).connect() as connection:
        before = consents_of(connection, {one.point for one in first}, channel=channel)
        for chunk in chunks(said, CHUNK_ROWS):
            report.rows_new += _record(connection, file, chunk, channel, subscription, status, now)
        after = consents_of(connection, {one.point for one in first}, channel=channel)
        connection.rollback()
    changes: list[dict[str, str | None]] = [
        {
            "contact_point": one.point,
            "before": before.get((one.point, subscription)),
            "after": after.get((one.point, subscription)),
            "at": one.at.isoformat(),
        }
        for one in first
    ]
    return changes, report


def _record(
    connection: Connection, file: Path, said: list[Said], channel: str, subscription: str, status: str, now: datetime
) -> int:
    return record_many(
        connection,
        [(one.point, one.at, f"{file.name}:{one.line}") for one in said],
        channel=channel,
        subscription=subscription,
        status=status,
        recorded_at=now,
    )


def _read_file(
    ws: Workspace,
    file: Path,
    *,
    channel: str,
    status: str,
    now: datetime,
    delimiter: str = ",",
    encoding: str = "auto",
    date_format: str | None = None,
) -> tuple[list[Said], ConsentReport]:
    if channel not in ("email", "sms") or status not in ("opt_in", "opt_out"):
        raise InvalidInput("consent is declared by channel email or sms and status opt_in or opt_out", file=file)
    report = ConsentReport(file)
    rows = list(_rows(file, delimiter, encoding))
    if rows and _is_header(rows[0][1], channel, ws, date_format):
        rows = rows[1:]
    known = known_points(ws, channel)
    return list(_readable(rows, report, channel=channel, ws=ws, known=known, date_format=date_format, now=now)), report


def _rows(file: Path, delimiter: str, encoding: str) -> Iterator[tuple[int, list[str]]]:
    content = file.read_bytes()
    reader = csv.reader(_text(content, encoding, file).splitlines(), delimiter=delimiter)
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield reader.line_num, cells


def _text(content: bytes, encoding: str, file: Path) -> str:
    candidates = ["utf-8-sig", "cp1252"] if encoding == "auto" else [encoding]
    if encoding == "auto" and content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        candidates = ["utf-16"]
    for candidate in candidates:
        try:
            return content.decode(candidate)
        except (UnicodeDecodeError, LookupError):
            continue
    tried = "UTF-8, UTF-16 or cp1252" if encoding == "auto" else encoding
    raise InvalidInput(f"the file is not {tried} text", file=file, remedy="declare its encoding")


def _is_header(cells: list[str], channel: str, ws: Workspace, date_format: str | None) -> bool:
    """A first line that holds neither a contact point nor a date."""
    try:
        normal(cells[0], channel, ws.company.country)
        return False
    except InvalidInput:
        return len(cells) < 2 or read_instant(cells[1], ws.company.zone, date_format) is None


def _readable(
    rows: list[tuple[int, list[str]]],
    report: ConsentReport,
    *,
    channel: str,
    ws: Workspace,
    known: set[str],
    date_format: str | None,
    now: datetime,
) -> Iterator[Said]:
    for line, cells in rows:
        report.rows_read += 1
        if len(cells) < 2:
            _reject(report, line, "1", cells[0], "the row has no date")
            continue
        try:
            point = normal(cells[0], channel, ws.company.country)
        except InvalidInput as error:
            _reject(report, line, "1", cells[0], error.message)
            continue
        at = read_instant(cells[1], ws.company.zone, date_format)
        if at is None:
            _reject(report, line, "2", cells[1], "not a date of a known notation")
        elif at > now + timedelta(days=1):
            _reject(report, line, "2", cells[1], "the date lies in the future")
        elif at.year < EARLIEST_YEAR:
            _reject(report, line, "2", cells[1], f"the date lies before {EARLIEST_YEAR}")
        elif point not in known:
            _reject(
                report, line, "1", cells[0], "no contact has this address or number; nobody is created by a consent"
            )
        else:
            yield Said(line, point, at)


def read_instant(text: str, zone: ZoneInfo, date_format: str | None = None) -> datetime | None:
    """A date in one of the five notations (or the declared one), aware; None for anything else."""
    for pattern in [date_format] if date_format else DATE_FORMATS:
        try:
            read = datetime.strptime(text.strip(), pattern)  # noqa: DTZ007
        except ValueError:
            continue
        return read if read.tzinfo is not None else read.replace(tzinfo=zone)
    return None


def _reject(report: ConsentReport, line: int, column: str, value: str, reason: str) -> None:
    report.rows_rejected += 1
    report.rejects.append((line, column, value[:500], reason))


def _write_rejects(ws: Workspace, report: ConsentReport) -> None:
    target = ws.rejects / "consent" / f"{report.file.stem}.rejects.csv"
    if not report.rejects:
        target.unlink(missing_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["file", "line", "column", "value", "reason"])
        writer.writerows(map(safe_cell, (report.file.name, *reject)) for reject in report.rejects)
    report.reject_file = str(target)
