"""The dunning pipeline: from CRM extracts to messages that leave exactly once."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import dunning_pipeline.cli` does not pay for DuckDB and SQLAlchemy.
    if name == "Workspace":
        return import_module("dunning_pipeline.settings.workspace").Workspace
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
