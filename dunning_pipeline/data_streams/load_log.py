"""Writes what was loaded into the ledger's stream_loads: the freshness of payments is read from there."""

from datetime import datetime
from uuid import uuid4

from dunning_pipeline.data_streams.load_report import LoadReport
from dunning_pipeline.settings.workspace import Workspace


def record_loads(ws: Workspace, reports: list[LoadReport], now: datetime) -> None:
    """One row per object that was loaded or found unchanged; failed objects are not fresh and get none."""
    from dunning_pipeline.ledger.engine import open_ledger
    from dunning_pipeline.ledger.schema import stream_loads

    rows = [
        {
            "load_id": uuid4().hex,
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
