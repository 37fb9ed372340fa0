"""Writes what was loaded into the ledger's stream_loads: how fresh payments are, and what is not built yet."""

from datetime import datetime
from uuid import uuid4

from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.settings.workspace import Workspace


def record_loads(ws: Workspace, reports: list[LoadReport], now: datetime) -> None:
    """One row per object that was loaded or found unchanged; failed objects are not fresh and get none.

    `load_id` begins with the name of the content: that of an object found unchanged is `<content>:<unique>`, so that
    delivery can tell what was put in place from what was only looked at.
    """
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.ledger.schema import stream_loads

    rows = [
        {
            "load_id": _load_id(report),
            "source": report.source,
            "object": report.object,
            "loaded_at": now,
            "rows_read": report.rows_read,
            "rows_loaded": report.rows_loaded,
            "rows_rejected": report.rows_rejected,
            "rows_closed": report.rows_closed,
            "watermark": report.watermark,
            "files": report.files,
        }
        for report in reports
        if report.status != "failed"
    ]
    if rows:
        with open_ledger(ws).begin() as connection:
            connection.execute(stream_loads.insert(), rows)


def _load_id(report: LoadReport) -> str:
    if report.status == "loaded" and report.content:
        return report.content
    return f"{report.content}:{uuid4().hex}" if report.content else uuid4().hex
