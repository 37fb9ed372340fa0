"""The SQL models: reads the analysts' folder, builds it in the warehouse, checks it and publishes the snapshot."""

from typing import Any

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    # the warehouse's door lies in this package too: opening it must not load the whole builder
    if name == "build":
        from dunning_pipeline.sql_models.building import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
