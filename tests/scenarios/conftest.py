"""The world in which the stories happen."""

import pytest

from dunning_pipeline.settings.workspace import Workspace
from tests.scenarios.world import World


@pytest.fixture
def world(workspace: Workspace) -> World:
    return World(workspace)
