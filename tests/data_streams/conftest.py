"""An inbox to drop files into, and a way to look at what arrived."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dunning_pipeline.data_streams import LoadReport, ingest
from dunning_pipeline.settings.workspace import Workspace
from dunning_pipeline.sql_models.warehouse import open_warehouse

NOW = datetime(2025, 11, 3, 8, tzinfo=UTC)
INVOICE_HEADER = "Id,InvoiceNumber,BillingAccountId,Status,InvoiceDate,DueDate,TotalAmountWithTax,SystemModstamp"


class Inbox:
    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def drop(self, name: str, content: str | bytes, *, encoding: str = "utf-8") -> Path:
        file = self.workspace.inbox / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return file

    def invoices(self, *rows: str, name: str = "Invoice.csv") -> Path:
        return self.drop(f"salesforce/{name}", "\n".join([INVOICE_HEADER, *rows]) + "\n")

    def ingest(self, **options: Any) -> dict[str, LoadReport]:
        reports = ingest(self.workspace, now=NOW, **options)
        return {f"{report.source}.{report.object}": report for report in reports}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.workspace) as con:
            return con.execute(query).fetchall()

    def rejects(self) -> list[tuple[Any, ...]]:
        return self.rows("select line, column_name, value, reason from landing._rejects order by line, column_name")


@pytest.fixture
def inbox(workspace: Workspace) -> Inbox:
    return Inbox(workspace)


def invoice(identifier: str, *, amount: str = "100.00", due: str = "2025-10-01", modified: str = "") -> str:
    return f"{identifier},N-{identifier},A1,Posted,2025-09-01,{due},{amount},{modified}"


InvoiceRow = Callable[..., str]
