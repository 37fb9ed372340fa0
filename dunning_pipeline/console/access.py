"""Who may come in: users, passwords, sessions and roles of the console, all in the ledger."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import IntegrityError

from dunning_pipeline.errors import InvalidInput, NotThere, Refused
from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.engine import reading
from dunning_pipeline.ledger.schema import sessions, users

ROLES = ("viewer", "collector", "approver", "admin")
SESSION_HOURS = 12
IDLE_MINUTES = 60
LOCK_AFTER_FAILURES = 5
LOCK_MINUTES = 15
MINIMUM_PASSWORD_LENGTH = 12

_hasher = PasswordHasher()
# verified against for unknown logins, so that the answer takes as long as for known ones
_NOBODYS_HASH = _hasher.hash(secrets.token_urlsafe(16))


@dataclass(frozen=True, kw_only=True)
class User:
    user_id: str
    login: str
    name: str
    role: str
    language: str | None
    row_scope: str | None
    must_change_password: bool
    csrf_token: str = ""
    email: str | None = None

    def may(self, role: str) -> bool:
        """Whether the user's role is `role` or above it."""
        return ROLES.index(self.role) >= ROLES.index(role)


def instant_of_access() -> datetime:
    """The real clock: sessions and lock-outs must not follow a business clock set for a test."""
    return datetime.now(UTC)


def make_first_admin(engine: Engine) -> str | None:
    """The one-time password of a new `admin` where the ledger has no user yet, else None."""
    password = secrets.token_urlsafe(12)
    with engine.begin() as connection:
        if connection.execute(select(users.c.user_id).limit(1)).first():
            return None
        add_user(connection, login="admin", name="Administrator", role="admin", password=password, must_change=True)
    return password


def add_user(
    connection: Connection,
    *,
    login: str,
    name: str,
    role: str,
    password: str | None,
    must_change: bool = False,
    row_scope: str | None = None,
    language: str | None = None,
    email: str | None = None,
) -> str:
    """Record a user and return the id. Raises InvalidInput for an unknown role, a short password or a taken login."""
    if role not in ROLES:
        raise InvalidInput(f"no such role: {role!r}", remedy=f"use one of {', '.join(ROLES)}")
    login = login.strip().lower()
    user_id = hashlib.sha256(login.encode()).hexdigest()[:16]
    try:
        connection.execute(
            users.insert().values(
                user_id=user_id,
                login=login,
                name=name.strip() or login,
                role=role,
                password_hash=hash_password(password) if password else None,
                must_change_password=must_change,
                row_scope=row_scope or None,
                language=language or None,
                email=email or None,
                failed_logins=0,
                is_active=True,
                created_at=instant_of_access(),
            )
        )
    except IntegrityError:
        raise InvalidInput(f"the login {login!r} is taken", remedy="choose another login") from None
    return user_id


def reset_password(connection: Connection, user_id: str) -> str:
    """A new one-time password, the lock taken off and all sessions ended; the password. Raises NotThere."""
    password = secrets.token_urlsafe(12)
    fresh = {"password_hash": hash_password(password), "must_change_password": True}
    changed = connection.execute(
        users.update().where(users.c.user_id == user_id).values(**fresh, failed_logins=0, locked_until=None)
    )
    if not changed.rowcount:
        raise NotThere("there is no such user")
    connection.execute(sessions.delete().where(sessions.c.user_id == user_id))
    return password


def hash_password(password: str) -> str:
    """argon2id hash. Raises InvalidInput for a password shorter than 12 characters."""
    if len(password) < MINIMUM_PASSWORD_LENGTH:
        raise InvalidInput(f"a password has at least {MINIMUM_PASSWORD_LENGTH} characters")
    return _hasher.hash(password)


def log_in(engine: Engine, *, login: str, password: str) -> str:
    """A new session's token for the cookie. Raises Refused with one text for every cause but a lock-out."""
    now = instant_of_access()
    with engine.begin() as connection:
        row = connection.execute(select(users).where(users.c.login == login.strip().lower())).mappings().first()
        if row and row["locked_until"] and row["locked_until"] > now:
            raise Refused("too many failed logins", remedy=f"try again in {LOCK_MINUTES} minutes")
        accepted = _verified(row["password_hash"] if row and row["password_hash"] else _NOBODYS_HASH, password)
        if row and not accepted:
            _count_failure(connection, row["user_id"], row["failed_logins"] + 1, now)
        if row and accepted and row["is_active"]:
            connection.execute(
                users.update().where(users.c.user_id == row["user_id"]).values(failed_logins=0, locked_until=None)
            )
            return open_session(connection, row["user_id"])
    raise Refused("login or password is wrong")


def _verified(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _count_failure(connection: Connection, user_id: str, failures: int, now: datetime) -> None:
    locked = now + timedelta(minutes=LOCK_MINUTES) if failures >= LOCK_AFTER_FAILURES else None
    connection.execute(
        users.update()
        .where(users.c.user_id == user_id)
        .values(failed_logins=0 if locked else failures, locked_until=locked)
    )


def open_session(connection: Connection, user_id: str) -> str:
    """A new session (never an old one carried over) and its token; only the token's hash is stored."""
    now = instant_of_access()
    token = secrets.token_urlsafe(32)
    connection.execute(
        sessions.insert().values(
            session_hash=_hashed(token),
            user_id=user_id,
            csrf_token=secrets.token_urlsafe(24),
            created_at=now,
            seen_at=now,
            expires_at=now + timedelta(hours=SESSION_HOURS),
        )
    )
    return token


def user_of(engine: Engine, token: str | None) -> User | None:
    """The user of a session token, or None where it is unknown, expired, idle too long or of an inactive user."""
    if not token:
        return None
    now = instant_of_access()
    with reading(engine) as connection:
        row = (
            connection.execute(
                select(users, sessions.c.csrf_token, sessions.c.seen_at, sessions.c.expires_at)
                .join(sessions, sessions.c.user_id == users.c.user_id)
                .where(sessions.c.session_hash == _hashed(token), users.c.is_active)
            )
            .mappings()
            .first()
        )
    if row is None or row["expires_at"] < now or row["seen_at"] < now - timedelta(minutes=IDLE_MINUTES):
        return None
    if row["seen_at"] < now - timedelta(minutes=1):  # not a write for every page
        with engine.begin() as connection:
            connection.execute(sessions.update().where(sessions.c.session_hash == _hashed(token)).values(seen_at=now))
    fields = {name: row[name] for name in User.__dataclass_fields__}
    return User(**fields)


def log_out(engine: Engine, token: str) -> None:
    with engine.begin() as connection:
        connection.execute(sessions.delete().where(sessions.c.session_hash == _hashed(token)))


def change_password(engine: Engine, *, user: User, old: str, new: str) -> str:
    """Set a new password, end all sessions of the user and open a new one. Raises Refused or InvalidInput."""
    with engine.begin() as connection:
        stored = connection.execute(select(users.c.password_hash).where(users.c.user_id == user.user_id)).scalar_one()
        if not _verified(stored, old):
            raise Refused("the old password is wrong")
        if old == new:
            raise InvalidInput("the new password is the old one", remedy="choose another")
        connection.execute(
            users.update()
            .where(users.c.user_id == user.user_id)
            .values(password_hash=hash_password(new), must_change_password=False)
        )
        connection.execute(sessions.delete().where(sessions.c.user_id == user.user_id))
        audit.record(
            connection,
            actor=user.login,
            action="user.password",
            object_kind="user",
            object_id=user.user_id,
            at=instant_of_access(),
        )
        return open_session(connection, user.user_id)


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
