"""Identity resolution: which source records are one party, why, and under which stable id."""

from dunning_pipeline.identity.resolving import ResolveReport, resolve

__all__ = ["ResolveReport", "resolve"]
