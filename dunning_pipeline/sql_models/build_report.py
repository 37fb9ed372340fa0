"""What a build did: each model, each check, each step, and the snapshot that it published or withheld."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from dunning_pipeline.sql_models.binding import Columns
from dunning_pipeline.sql_models.checks import CheckResult

Progress = Callable[[str, int, int], None]  # what is being done, how many are done, of how many


@dataclass(frozen=True)
class ModelResult:
    """How one model went: built, failed (its own mistake) or skipped (something that it needs failed)."""

    name: str
    schema: str
    status: str
    rows: int | None = None
    seconds: float = 0.0
    columns: Columns = field(default_factory=dict)
    tests: tuple[CheckResult, ...] = ()
    error: str | None = None

    @property
    def key(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass
class BuildReport:
    """What a build did. `snapshot` is the published file, None where nothing was published (`withheld` says why)."""

    run_id: str
    run_date: date
    models: list[ModelResult] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    steps: list[tuple[str, float]] = field(default_factory=list)
    snapshot: Path | None = None
    withheld: str | None = None

    @property
    def failed(self) -> list[str]:
        """Names of the models that failed or were skipped, and of blocking checks that failed."""
        models = [model.name for model in self.models if model.status != "built"]
        return models + [check.name for check in self.checks if check.is_blocking_failure and check.model not in models]
