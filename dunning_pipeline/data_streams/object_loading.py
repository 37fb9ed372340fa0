"""Loads the newest extract of one object: stage, reject, merge; a failure leaves the previous rows as they were."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.file_text import ReadableFile, header_of, opened_bytes, readable
from dunning_pipeline.data_streams.inbox import InboxFile, done_marker, extracts_of
from dunning_pipeline.data_streams.landing_tables import existing_types, landing_table, quoted
from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.data_streams.merging import merge
from dunning_pipeline.data_streams.rejects import (
    Reject,
    duplicate_rejects,
    keys_of_lines,
    place_lines,
    reader_rejects,
    value_rejects,
    write_rejects,
)
from dunning_pipeline.data_streams.staging import STAGE, Header, Shape, match_header, stage_file
from dunning_pipeline.data_streams.suspicions import refuse_ambiguous_dates, refuse_cut_off
from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.settings.workspace import Workspace

EXTRACT = 'landing."_extract"'
KEPT = "_kept_keys"


@dataclass
class ObjectLoad:
    """One object's load under way."""

    con: duckdb.DuckDBPyConnection
    ws: Workspace
    stream: StreamSource
    name: str
    now: datetime

    def run(self, files: list[InboxFile]) -> LoadReport:
        """Load the newest extract (all of them where the object is incremental); never raises for bad input."""
        report = LoadReport(self.stream.source, self.name)
        extracts = extracts_of(files)
        chosen = extracts if self.stream.objects[self.name].incremental else extracts[-1:]
        picked = [file for extract in chosen for file in extract]
        report.files = [file.path.name for file in picked]
        try:
            fingerprint = self._fingerprint(picked)
            known = _previous(self.con, self.stream, self.name)
            if known and known[0] == fingerprint and existing_types(self.con, self.stream, self.name):
                return LoadReport(
                    **{**json.loads(known[1]), "status": "unchanged", "rows_changed": 0, "rows_closed": 0}
                )
            self._load(picked, report)
            _remember(self.con, report, fingerprint)
        except DunningError as error:
            report.status, report.error = "failed", str(error)
            report.rows_loaded = 0
        finally:
            for table in (STAGE, EXTRACT):
                self.con.execute(f"drop table if exists {table}")
            self.con.execute(f"drop table if exists {KEPT}")
        return report

    def _fingerprint(self, files: list[InboxFile]) -> str:
        declared = [self.stream.objects[self.name].model_dump_json(), self.stream.format.model_dump_json()]
        told = json.dumps([declared, [file.fingerprint for file in files]])
        return hashlib.sha256(told.encode()).hexdigest()

    def _load(self, files: list[InboxFile], report: LoadReport) -> None:
        key = self.stream.objects[self.name].key
        columns = ", ".join(f"{quoted(column)} varchar" for column in key)
        self.con.execute(f"create or replace temp table {KEPT} ({columns})")
        rejects: list[Reject] = []
        unreadable_keys = False
        for number, file in enumerate(files):
            staged, lost_keys = self._stage_one(file, report, rejects)
            unreadable_keys = unreadable_keys or lost_keys
            self._collect(number, staged)
        superseded = self._newest_per_key() if len(files) > 1 else 0
        report.rows_loaded = report.rows_read - report.rows_rejected
        if superseded:
            report.notes.append(f"{superseded} rows replaced by newer ones of another file")
        self._guard_empty(report)
        close = not self.stream.objects[self.name].incremental
        if unreadable_keys and close:
            close = False
            report.notes.append("rows without a readable key: nothing was closed for being absent")
        counts = merge(self.con, self.stream, self.name, staged=EXTRACT, close_absent=close, kept_keys=KEPT)
        report.rows_changed, report.rows_closed = counts.changed, counts.closed
        watermark = self.con.execute(
            f"select max(_modified_at) from {landing_table(self.stream, self.name)}"
        ).fetchone()
        report.watermark = watermark[0].isoformat() if watermark and watermark[0] else None
        target = write_rejects(self.con, self.ws, self.stream, self.name, rejects)
        report.reject_file = str(target) if target else None

    def _stage_one(self, file: InboxFile, report: LoadReport, rejects: list[Reject]) -> tuple[int, bool]:
        marker = done_marker(file.path)
        if marker and marker.size is not None and marker.size != file.size:
            raise InvalidInput(
                f"half-written: {file.size} bytes, its .done marker declares {marker.size}",
                file=file.path,
                remedy="deliver the file again; the previous rows stay until then",
            )
        text, header, rows = self._read(file, None)
        structural = reader_rejects(self.con, file.path.name)
        form = self.stream.format_of(self.name)
        if form.encoding == "auto" and text.path == file.path and self._has_foreign_bytes():
            # the first megabyte was plain, what follows is not UTF-8
            text, header, rows = self._read(file, "cp1252")
            structural = reader_rejects(self.con, file.path.name)
        refuse_cut_off(file.path, text, structural, form, len(header.names))
        refuse_ambiguous_dates(self.con, self.stream, self.name, header, file.path)
        read = rows + len(structural)
        if marker and marker.rows is not None and marker.rows != read:
            raise InvalidInput(
                f"half-written: {read} rows, its .done marker declares {marker.rows}",
                file=file.path,
                remedy="deliver the file again; the previous rows stay until then",
            )
        broken = [reject for reject, _ in structural]
        bad = value_rejects(self.con, file.path.name)
        doubled = duplicate_rejects(self.con, self.stream.objects[self.name].key, file.path.name)
        mine = sorted([*broken, *place_lines([*bad, *doubled], broken, text, form)], key=lambda r: r.line or 0)
        rejects.extend(mine)
        lost = self._keep_keys_of_rejects(structural, header)
        report.rows_read += read
        report.rows_rejected += len(structural) + self._drop_bad()
        report.unknown_columns = sorted({*report.unknown_columns, *header.unknown})
        report.missing_columns = sorted({*report.missing_columns, *header.missing})
        if text.encoding not in ("utf-8", "utf-8-sig"):
            report.notes.append(f"{file.path.name}: read as {text.encoding}")
        return rows, lost

    def _read(self, file: InboxFile, encoding: str | None) -> tuple[ReadableFile, Header, int]:
        form = self.stream.format_of(self.name)
        scratch = self.ws.landing / "converted"
        if file.path.name.lower().endswith(".parquet"):
            names = [
                row[0] for row in self.con.execute(f"describe select * from read_parquet('{file.path}')").fetchall()
            ]
            text = ReadableFile(file.path, "utf-8", False)
        else:
            text = readable(file.path, form, scratch, encoding=encoding)
            names = header_of(text, form if not text.path.name.endswith(".json.csv") else _plain_csv(form), file.path)
        header = match_header(names, self.stream, self.name, file.path)
        shape = Shape(self.stream, self.name, self.ws.company.time_zone)
        loaded_at = self.now.astimezone(UTC)
        rows = stage_file(self.con, shape, header, text, original=file.path, loaded_at=loaded_at)
        return text, header, rows

    def _has_foreign_bytes(self) -> bool:
        return bool(
            self.con.execute("select 1 from duckdb_tables() where table_name = '_reader_errors'").fetchall()
        ) and bool(
            self.con.execute("select 1 from _reader_errors where error_type = 'INVALID ENCODING' limit 1").fetchall()
        )

    def _keep_keys_of_rejects(self, structural: list[tuple[Reject, str]], header: Header) -> bool:
        """Remember the keys of rejected rows: their older versions are not closed. True where a key is unknown."""
        key = self.stream.objects[self.name].key
        columns = ", ".join(f"cast({quoted(column)} as varchar)" for column in key)
        self.con.execute(f"insert into {KEPT} select {columns} from {STAGE} where _bad is not null")
        keys = keys_of_lines(structural, header, self.stream.format_of(self.name), key)
        for values in keys or []:
            self.con.execute(f"insert into {KEPT} values ({', '.join('?' * len(values))})", list(values))
        return keys is None

    def _drop_bad(self) -> int:
        count = self.con.execute(f"select count(*) from {STAGE} where _bad is not null").fetchone()[0]  # type: ignore[index]
        if count:
            self.con.execute(f"delete from {STAGE} where _bad is not null")
        self.con.execute(f"alter table {STAGE} drop column _bad")
        return int(count)

    def _collect(self, number: int, rows: int) -> None:
        if number == 0:
            self.con.execute(f"drop table if exists {EXTRACT}")
            self.con.execute(f'alter table {STAGE} rename to "_extract"')
            return
        known = {row[0].lower() for row in self.con.execute(f"describe {EXTRACT}").fetchall()}
        for column, data_type, *_ in self.con.execute(f"describe {STAGE}").fetchall():
            if column.lower() not in known:
                self.con.execute(f"alter table {EXTRACT} add column {quoted(column)} {data_type}")
        self.con.execute(f"insert into {EXTRACT} by name select * from {STAGE}")

    def _newest_per_key(self) -> int:
        """Keep the newest row per key over the files; without a time of change, that of the newest file."""
        keys = ", ".join(quoted(column) for column in self.stream.objects[self.name].key)
        ranked = f"row_number() over (partition by {keys} order by _modified_at desc nulls last, rowid desc)"
        gone = self.con.execute(
            f"delete from {EXTRACT} where rowid in (select rowid from {EXTRACT} qualify {ranked} > 1)"
        ).fetchone()
        return int(gone[0]) if gone else 0

    def _guard_empty(self, report: LoadReport) -> None:
        declared = self.stream.objects[self.name]
        if report.rows_loaded or declared.incremental or declared.allow_empty:
            return
        if not existing_types(self.con, self.stream, self.name):
            return
        open_rows = self.con.execute(
            f"select count(*) from {landing_table(self.stream, self.name)} where not _is_deleted"
        ).fetchone()[0]  # type: ignore[index]
        if open_rows:
            raise InvalidInput(
                f"the extract has no usable row, and would close {open_rows} rows",
                file=report.files[-1],
                remedy="deliver it again, or declare `allow_empty: true` for this object",
            )


def _plain_csv(form: object) -> object:
    return form.model_copy(update={"delimiter": ",", "quote": '"'})  # type: ignore[attr-defined]


def _previous(con: duckdb.DuckDBPyConnection, stream: StreamSource, name: str) -> tuple[str, str] | None:
    con.execute(
        "create table if not exists landing._loads (source varchar, object varchar, fingerprint varchar, report varchar)"
    )
    return con.execute(
        "select fingerprint, report from landing._loads where source = ? and object = ?", [stream.source, name]
    ).fetchone()


def _remember(con: duckdb.DuckDBPyConnection, report: LoadReport, fingerprint: str) -> None:
    con.execute("delete from landing._loads where source = ? and object = ?", [report.source, report.object])
    row = [report.source, report.object, fingerprint, json.dumps(report.as_row())]
    con.execute("insert into landing._loads values (?, ?, ?, ?)", row)


__all__ = ["ObjectLoad", "opened_bytes"]
