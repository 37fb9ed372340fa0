"""A workspace: the folder whose policies, templates and SQL the product runs, and where its state lies."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dunning_pipeline.errors import NotThere
from dunning_pipeline.settings.company import Company, load_company

if TYPE_CHECKING:
    from dunning_pipeline.sql_models.reading import Rows


class Workspace:
    """Paths of one workspace, its company, and read-only access to what was published (for notebooks).

    `Workspace(".").segment("overdue_1_30").pl()` reads the last published snapshot; `.statements(status="closed")`
    reads the ledger. Nothing is read from or written to anywhere else than below `root`.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root or os.environ.get("DUNNING_WORKSPACE") or ".").resolve()
        if not (self.root / "policies").is_dir():
            raise NotThere(
                f"{self.root} is no workspace: it has no policies/ folder",
                remedy="name one with --workspace DIR or DUNNING_WORKSPACE, or make one with `dunning init DIR`",
            )

    # -- what people write -------------------------------------------------------------------------------------
    @property
    def policies(self) -> Path:
        return self.root / "policies"

    @property
    def templates(self) -> Path:
        return self.root / "templates"

    @property
    def models(self) -> Path:
        return self.root / "dbt_like_sql"

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    # -- state, below .dunning/ ---------------------------------------------------------------------------------
    @property
    def state(self) -> Path:
        return self.root / ".dunning"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file with one writer; never hand this path to people, they read the snapshot."""
        return self.state / "warehouse.duckdb"

    @property
    def serving(self) -> Path:
        return self.state / "serving"

    @property
    def landing(self) -> Path:
        """Pages fetched from an API, kept as files before they are loaded."""
        return self.state / "landing"

    @property
    def rejects(self) -> Path:
        return self.state / "rejects"

    @property
    def decisions(self) -> Path:
        """One Parquet file per run with every decision row."""
        return self.state / "decisions"

    @property
    def statement_files(self) -> Path:
        return self.state / "statements"

    @property
    def outbox(self) -> Path:
        return self.state / "outbox"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL: DUNNING_LEDGER_URL, else SQLite below the state folder."""
        return os.environ.get("DUNNING_LEDGER_URL") or f"sqlite:///{self.state / 'ledger.sqlite'}"

    @cached_property
    def company(self) -> Company:
        return load_company(self.policies / "company.yaml")

    # -- notebooks ----------------------------------------------------------------------------------------------
    def model(self, name: str) -> "Rows":
        """Rows of a published model, such as "invoices" or "dunning.open_items"; read-only."""
        from dunning_pipeline.sql_models.reading import read_model

        return read_model(self, name)

    def segment(self, name: str) -> "Rows":
        """Members of a published segment, one row per unified account."""
        from dunning_pipeline.sql_models.reading import read_model

        return read_model(self, f"segments.{name}")

    def statements(self, **filters: Any) -> "Rows":
        """Statements of the ledger as rows; filters are those of `dunning statement list`."""
        from dunning_pipeline.ledger.reading import read_statements

        return read_statements(self, **filters)


def shipped_folder() -> Path:
    """Where policies, templates and models lie: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent
