"""The work list: every finding that needs a person; done, taken up again, or given to somebody, with the reason."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, func, select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console.desk import Desk, allowed
from dunning_pipeline.console.listing import listed
from dunning_pipeline.console.noting import write_note
from dunning_pipeline.console.scope import findings_within_scope
from dunning_pipeline.errors import InvalidInput
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import findings, notes, users

ASSIGNED = "finding.assigned"  # kind of note: its body is a login, the newest one (ids grow with time) counts
ACTIONS = {"done": "finish_finding", "reopen": "reopen_finding", "assign": "assign_finding"}


@allowed("viewer")
def list_findings(desk: Desk) -> Response:
    status = desk.asked("status", "open")
    if status not in ("open", "done"):
        status = "open"
    query = select(findings).where(findings.c.status == status)
    if desk.asked("kind"):
        query = query.where(findings.c.kind == desk.asked("kind"))
    if desk.asked("assignee"):
        query = query.where(findings.c.finding_id.in_(_given_to(desk.asked("assignee"))))
    sorts = {"raised_at": findings.c.raised_at, "kind": findings.c.kind, "severity": findings.c.severity}
    with reading(desk.engine) as connection:
        query = findings_within_scope(desk, connection, query)
        counted = select(findings.c.kind, func.count()).where(findings.c.status == status)
        listing = listed(desk, connection, query, sorts=sorts, default_sort="-raised_at", tie=findings.c.finding_id)
        kinds = connection.execute(
            findings_within_scope(desk, connection, counted).group_by(findings.c.kind).order_by(findings.c.kind)
        ).all()
        assigned = _assigned(connection, [row["finding_id"] for row in listing.rows])
        people = list(connection.scalars(select(users.c.login).where(users.c.is_active).order_by(users.c.login)))
    return desk.page("findings.html", listing=listing, kinds=kinds, status=status, assigned=assigned, people=people)


def _given_to(login: str) -> Select[Any]:
    """Ids of the findings that were given to somebody last."""
    newest = select(func.max(notes.c.note_id)).where(notes.c.object_kind == ASSIGNED).group_by(notes.c.object_id)
    return select(notes.c.object_id).where(notes.c.note_id.in_(newest), notes.c.body == login)


def _assigned(connection: Connection, ids: Iterable[str]) -> dict[str, str]:
    query = select(notes.c.object_id, notes.c.body).where(notes.c.object_kind == ASSIGNED, notes.c.object_id.in_(ids))
    return dict(connection.execute(query.order_by(notes.c.note_id)).tuples().all())


@allowed("collector")
def act(desk: Desk) -> Response:
    """Mark the ticked findings as done, take them up again, or give them to somebody."""
    action, reason = desk.typed("action", "done"), desk.typed("reason") or None
    ticked = [str(value) for value in desk.form.getlist("finding_id")]
    if action not in ACTIONS:
        raise InvalidInput(f"there is no action {action!r}")
    if not ticked:
        raise InvalidInput("nothing is selected", remedy="tick findings first")
    if action == "reopen" and reason is None:
        raise InvalidInput("a reason is needed", remedy="say why it is taken up again")
    changed = 0
    with desk.engine.begin() as connection:
        assignee = _known_login(connection, desk.typed("assignee")) if action == "assign" else None
        wanted = "done" if action == "reopen" else "open"
        mine = select(findings.c.finding_id).where(findings.c.finding_id.in_(ticked), findings.c.status == wanted)
        for finding_id in connection.scalars(findings_within_scope(desk, connection, mine)).all():
            _change(desk, connection, finding_id, action=action, assignee=assignee, reason=reason)
            changed += 1
    return desk.go(
        "/findings?status=done" if action == "reopen" else "/findings",
        desk.wording.text("{n} findings are changed.", n=changed),
    )


def _known_login(connection: Connection, login: str) -> str:
    if not connection.scalar(select(users.c.login).where(users.c.login == login, users.c.is_active)):
        raise InvalidInput("there is no such person", value=login, remedy="choose one of the list")
    return login


def _change(
    desk: Desk, connection: Connection, finding_id: str, *, action: str, assignee: str | None, reason: str | None
) -> None:
    if assignee is not None:
        write_note(desk, connection, ASSIGNED, finding_id, assignee)
    else:
        fate: dict[str, Any] = {"status": "done", "done_at": desk.now, "done_by": desk.user.login}
        if action == "reopen":
            fate = {"status": "open", "done_at": None, "done_by": None}
        connection.execute(findings.update().where(findings.c.finding_id == finding_id).values(**fate))
    after = {"assignee": assignee} if assignee else None
    desk.record(ACTIONS[action], "finding", finding_id, after=after, reason=reason, connection=connection)


routes = [Route("/findings", list_findings), Route("/findings/act", act, methods=["POST"])]
