"""Notes of the console: a text about an account, who looks after a finding, a calendar's secret; the newest counts."""

from sqlalchemy import Connection

from dunning_pipeline.console.desk import Desk
from dunning_pipeline.ledger.identifiers import new_id
from dunning_pipeline.ledger.schema import notes


def write_note(desk: Desk, connection: Connection, kind: str, object_id: str, body: str) -> str:
    """Write `body` about an object and return the note's id; ids grow with time."""
    note_id = new_id()
    connection.execute(
        notes.insert().values(
            note_id=note_id,
            object_kind=kind,
            object_id=object_id,
            body=body,
            created_at=desk.now,
            created_by=desk.user.login,
        )
    )
    return note_id
