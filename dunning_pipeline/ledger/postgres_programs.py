"""Runs PostgreSQL's own programs on the ledger's database: pg_dump, pg_restore, psql."""

import os
import subprocess
from pathlib import Path

from sqlalchemy.engine import make_url

from dunning_pipeline.errors import DunningError
from dunning_pipeline.ledger.troubles import in_words
from dunning_pipeline.settings.workspace import Workspace


def dump(ws: Workspace, target: Path) -> Path:
    """Write the database to a file in pg_dump's custom format."""
    run(ws, "pg_dump", "--format=custom", f"--file={target}")
    return target


def run(ws: Workspace | None, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs, on the ledger's database where `ws` is given; no argument has its password."""
    environment = dict(os.environ)
    if ws is not None:
        url = make_url(ws.ledger_url).set(drivername="postgresql")
        if url.password is not None:
            environment["PGPASSWORD"] = str(url.password)
        arguments = (f"--dbname={url._replace(password=None).render_as_string()}", *arguments)
    try:
        subprocess.run([program, *arguments], check=True, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise DunningError(f"{program} is not installed", remedy="install Debian's postgresql-client") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip()[-500:]
        raise in_words(RuntimeError(said)) or DunningError(said if program in said else f"{program}: {said}") from None
