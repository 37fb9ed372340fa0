"""The same build of the demo that the models' tests read."""

from tests.sql_models.conftest import demo, snapshot

__all__ = ["demo", "snapshot"]
