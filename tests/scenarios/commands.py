"""Runs `dunning …` in this process as a shell would: arguments in, exit code and output out, with a business clock."""

import json
import os
from dataclasses import dataclass
from typing import Any

import typer
from typer.testing import CliRunner

from dunning_pipeline.cli.main import app
from dunning_pipeline.errors import DunningError
from dunning_pipeline.settings.workspace import Workspace


@dataclass
class Shell:
    """Commands on one workspace; `now` is the business instant (DUNNING_NOW), changed between commands."""

    ws: Workspace
    now: str = "2025-08-31T09:00:00+02:00"

    def run(self, *arguments: str, code: int = 0) -> str:
        """Standard output of a command that must end with this exit code."""
        environment = {"DUNNING_WORKSPACE": str(self.ws.root), "DUNNING_NOW": self.now, "COLUMNS": "200"}
        before = dict(os.environ)
        try:
            result = CliRunner(env=environment).invoke(app, list(arguments))
        finally:
            os.environ.clear()
            os.environ.update(before)
        error = result.exception
        actual = 1 if isinstance(error, DunningError) else result.exit_code
        said = f"dunning {' '.join(arguments)}\n{result.output}\n{error!r}"
        if error is not None and not isinstance(error, SystemExit | DunningError | typer.Exit):
            raise AssertionError(said) from error
        assert actual == code, said
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--format", "json"))
