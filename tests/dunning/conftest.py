"""The world of the decision's stories."""

from pathlib import Path

import pytest

from tests.dunning.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "workspace")
