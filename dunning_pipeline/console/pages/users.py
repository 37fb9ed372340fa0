"""Users of the console: who they are, what they may do, whose accounts they see."""

import secrets

from sqlalchemy import select
from starlette.responses import Response
from starlette.routing import Route

from dunning_pipeline.console import access
from dunning_pipeline.console.desk import Desk, allowed, as_rows
from dunning_pipeline.delivery.permission.contact_points import normal_email
from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import sessions, users


@allowed("admin")
def list_users(desk: Desk) -> Response:
    with reading(desk.engine) as connection:
        rows = as_rows(connection.execute(select(users).order_by(users.c.login)))
    return desk.page("users.html", rows=rows, roles=access.ROLES, password=None)


@allowed("admin")
def add_user(desk: Desk) -> Response:
    password = secrets.token_urlsafe(12)
    login = desk.typed("login").lower()
    if not login or len(login) > 80:
        raise InvalidInput("a login has 1 to 80 characters")
    with desk.engine.begin() as connection:
        user_id = access.add_user(
            connection,
            login=login,
            name=desk.typed("name"),
            role=desk.typed("role", "viewer"),
            password=password,
            must_change=True,
            row_scope=desk.typed("row_scope") or None,
            language=desk.typed("language") or None,
            email=_email(desk),
        )
        desk.record(
            "add_user", "user", user_id, after={"login": login, "role": desk.typed("role")}, connection=connection
        )
        rows = as_rows(connection.execute(select(users).order_by(users.c.login)))
    return desk.page("users.html", rows=rows, roles=access.ROLES, password=(login, password))


@allowed("admin")
def change_user(desk: Desk) -> Response:
    user_id = desk.request.path_params["user_id"]
    if desk.typed("action") == "password":
        return _new_password(desk, user_id)
    changes = {
        "role": desk.typed("role"),
        "row_scope": desk.typed("row_scope") or None,
        "email": _email(desk),
        "is_active": desk.typed("is_active") == "1",
    }
    if changes["role"] not in access.ROLES:
        raise InvalidInput(f"no such role: {changes['role']!r}", remedy=f"use one of {', '.join(access.ROLES)}")
    if user_id == desk.user.user_id and (changes["role"] != "admin" or not changes["is_active"]):
        raise Refused("you cannot take your own admin role away", remedy="ask another admin")
    with desk.engine.begin() as connection:
        before = connection.execute(select(users).where(users.c.user_id == user_id)).mappings().first()
        if before is None:
            raise NotThere("there is no such user")
        connection.execute(users.update().where(users.c.user_id == user_id).values(**changes))
        if not changes["is_active"]:
            connection.execute(sessions.delete().where(sessions.c.user_id == user_id))
        was = {name: before[name] for name in changes}
        desk.record("change_user", "user", user_id, after=changes, before=was, connection=connection)
    return desk.go("/users", desk.wording.text("Saved."))


def _new_password(desk: Desk, user_id: str) -> Response:
    """For somebody who forgot the password or is locked out: a new one-time password, shown once."""
    with desk.engine.begin() as connection:
        password = access.reset_password(connection, user_id)
        desk.record("reset_password", "user", user_id, connection=connection)
        rows = as_rows(connection.execute(select(users).order_by(users.c.login)))
    login = next(row["login"] for row in rows if row["user_id"] == user_id)
    return desk.page("users.html", rows=rows, roles=access.ROLES, password=(login, password))


def _email(desk: Desk) -> str | None:
    return normal_email(desk.typed("email")) if desk.typed("email") else None


routes = [
    Route("/users", list_users, methods=["GET"]),
    Route("/users", add_user, methods=["POST"]),
    Route("/users/{user_id}", change_user, methods=["POST"]),
]
