"""Loads the newest extract of one object: stage, reject, merge; a failure leaves the previous rows as they were."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import duckdb

from dunning_pipeline.data_streams.declaration import StreamSource
from dunning_pipeline.data_streams.files.extracting import EXTRACT, KEPT, Extract, Extraction
from dunning_pipeline.data_streams.files.inbox import InboxFile, extracts_of
from dunning_pipeline.data_streams.files.rejects import write_rejects
from dunning_pipeline.data_streams.files.staging import STAGE
from dunning_pipeline.data_streams.landing_tables import existing_types, landing_table
from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.data_streams.merging import merge
from dunning_pipeline.errors import DunningError, InvalidInput
from dunning_pipeline.settings.workspace import Workspace


@dataclass
class ObjectLoad:
    """One object's load under way."""

    con: duckdb.DuckDBPyConnection
    ws: Workspace
    stream: StreamSource
    name: str
    now: datetime

    def run(self, files: list[InboxFile]) -> LoadReport:
        """Load the newest extract (all of them where the object is incremental); bad input is told, not raised."""
        extracts = extracts_of(files)
        chosen = extracts if self.stream.objects[self.name].incremental else extracts[-1:]
        picked = [file for extract in chosen for file in extract]
        report = LoadReport(self.stream.source, self.name, files=[file.path.name for file in picked])
        fingerprint = self._fingerprint(picked)
        known = self._known_load(fingerprint)
        if known:
            return known
        try:
            self._load(picked, report, fingerprint)
        except DunningError as error:
            report.status, report.error, report.rows_loaded = "failed", str(error), 0
        finally:
            for table in (STAGE, EXTRACT, KEPT):
                self.con.execute(f"drop table if exists {table}")
        return report

    def _fingerprint(self, files: list[InboxFile]) -> str:
        declared = [self.stream.objects[self.name].model_dump_json(), self.stream.format.model_dump_json()]
        markers = [
            path.stat().st_mtime_ns for file in files for path in file.path.parent.glob(f"{file.path.name}.done")
        ]
        told = json.dumps([declared, [file.fingerprint for file in files], markers])
        return hashlib.sha256(told.encode()).hexdigest()

    def _known_load(self, fingerprint: str) -> LoadReport | None:
        """The report of the same files under the same declaration, where they are what is loaded now."""
        self.con.execute(
            "create table if not exists landing._loads "
            "(source varchar, object varchar, fingerprint varchar, report varchar)"
        )
        found = self.con.execute(
            "select report from landing._loads where source = ? and object = ? and fingerprint = ?",
            [self.stream.source, self.name, fingerprint],
        ).fetchone()
        if found is None or not existing_types(self.con, self.stream, self.name):
            return None
        return LoadReport(**{**json.loads(found[0]), "status": "unchanged", "rows_changed": 0, "rows_closed": 0})

    def _load(self, files: list[InboxFile], report: LoadReport, fingerprint: str) -> None:
        found = Extraction(self.con, self.ws, self.stream, self.name, self.now).run(files)
        report.rows_read, report.rows_rejected = found.rows_read, found.rows_rejected
        report.rows_loaded = found.rows_read - found.rows_rejected
        report.unknown_columns, report.missing_columns = sorted(found.unknown_columns), sorted(found.missing_columns)
        report.notes = found.notes
        target = write_rejects(self.con, self.ws, self.stream, self.name, found.rejects)
        report.reject_file = str(target) if target else None
        self._refuse_emptiness(report)
        self.con.execute("begin")
        try:
            self._merge(found, report)
            self._remember(report, fingerprint)
            self.con.execute("commit")
        except BaseException:
            self.con.execute("rollback")
            raise

    def _merge(self, found: Extract, report: LoadReport) -> None:
        close = not self.stream.objects[self.name].incremental
        if found.has_unknown_keys and close:
            close = False
            report.notes.append("a rejected row has no readable key: nothing was closed for being absent")
        counts = merge(self.con, self.stream, self.name, staged=EXTRACT, close_absent=close, kept_keys=KEPT)
        report.rows_changed, report.rows_closed = counts.changed, counts.closed
        query = f"select max(_modified_at) from {landing_table(self.stream, self.name)}"
        newest = self.con.execute(query).fetchone()
        report.watermark = newest[0].isoformat() if newest and newest[0] else None
        report.content = uuid4().hex

    def _remember(self, report: LoadReport, fingerprint: str) -> None:
        self.con.execute("delete from landing._loads where source = ? and object = ?", [report.source, report.object])
        row = [report.source, report.object, fingerprint, json.dumps(report.as_row())]
        self.con.execute("insert into landing._loads values (?, ?, ?, ?)", row)

    def _refuse_emptiness(self, report: LoadReport) -> None:
        """A full extract without a usable row would close everything: somebody has to say that this is meant."""
        declared = self.stream.objects[self.name]
        if report.rows_loaded or declared.incremental or declared.allow_empty:
            return
        if not existing_types(self.con, self.stream, self.name):
            return
        query = f"select count(*) from {landing_table(self.stream, self.name)} where not _is_deleted"
        rows = self.con.execute(query).fetchone()
        if rows and rows[0]:
            raise InvalidInput(
                f"the extract has no usable row and would close all {rows[0]}",
                file=report.files[-1],
                remedy="deliver it again, or declare `allow_empty: true` for this object",
            )
