"""The ledger's home, where it was when messages left: a copy finds another one and knows that it is a copy."""

import ctypes
import os
import platform
import socket
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from struct import unpack_from
from typing import Any

from sqlalchemy import Connection, Row, select, text

from dunning_pipeline.ledger import audit
from dunning_pipeline.ledger.bulk import insert_unless_there
from dunning_pipeline.ledger.schema import homes

Identity = dict[str, Any]

# Linux's file systems that keep a file's number and birth for good, as statfs(2) names them: ext4, XFS, Btrfs, ZFS,
# F2FS, bcachefs, overlay, tmpfs. Others (exFAT, network shares, FUSE) may number files anew at each mount.
_KEEPING = frozenset(
    {0xEF53, 0x58465342, 0x9123683E, 0x2FC12FC1, 0xF2F52010, 0xCA451A4E, 0x794C7630, 0x01021994}
)  # fmt: skip
_AT_FDCWD, _NUMBER, _BIRTH = -100, 0x100, 0x800  # of statx(2); Python knows it from 3.15 on


@dataclass(frozen=True)
class Away:
    """A ledger that is elsewhere than at home."""

    home: Identity
    here: Identity
    reason: str  # what a person reads who finds the stop button pressed


def away(connection: Connection) -> Away | None:
    """What is wrong with the place of this ledger; None at home, before anything was sent, or where nobody can tell."""
    home, here = _last(connection), identity(connection)
    differs = other_in(home.identity, here) if home and here else None
    if home is None or here is None or differs is None:
        return None
    return Away(
        home.identity,
        here,
        f"this ledger is a copy, or was moved: messages left from {home.place}, and here is another {differs}. Two "
        "copies would say everything twice. Make sure that the other one does not send any more, then `dunning send "
        "resume` makes this the place to send from",
    )


def has_home(connection: Connection) -> bool:
    """Whether it is known where messages left from."""
    return _last(connection) is not None


def settle(connection: Connection, *, actor: str, at: datetime) -> None:
    """Make this place the ledger's home; a no-op where it is, or where nobody can tell one place from another."""
    home, here = _last(connection), identity(connection)
    if here is None or (home and other_in(home.identity, here) is None):
        return
    place, number = _place(connection), home.number + 1 if home else 1
    row = {"number": number, "identity": here, "place": place, "since": at, "by": actor}
    if insert_unless_there(connection, homes, [row]) and home:
        audit.record(
            connection, actor=actor, action="ledger.home", object_kind="ledger", object_id="ledger",
            before={"place": home.place}, after={"place": place}, at=at,
        )  # fmt: skip


def all_where_at_home(connection: Connection) -> list[Identity]:
    """Where a ledger that is at home has ever been at home; nothing of one that is not."""
    if not has_home(connection) or away(connection) is not None:
        return []
    return list(connection.scalars(select(homes.c.identity)))


def identity(connection: Connection) -> Identity | None:
    """What tells this ledger from each copy of it and outlives a move, a new mount, a restart; None where nothing does.

    SQLite: the file's number and birth, and the machine; PostgreSQL: the cluster's own number and the database's.
    """
    if connection.dialect.name == "postgresql":
        return _of_database(connection)
    name = connection.engine.url.database
    file = file_identity(Path(name)) if name else None
    return {"file": file, **machine()} if file else None


def other_in(home: Identity, here: Identity) -> str | None:
    """What is another one here than at home; what either of them does not know is not compared."""
    for name in ("server", "database", "file"):
        if home.get(name) and here.get(name) and home[name] != here[name]:
            return name
    cards, present = set(home.get("cards", ())), set(here.get("cards", ()))
    if home.get("machine") == here.get("machine") and cards and present and not cards & present:
        return "machine"  # the same installation in other hardware: a disk was copied as a whole
    return None


def file_identity(file: Path) -> str | None:
    """Number and birth of a file, which no copy shares; None on a file system that does not keep both."""
    try:
        if platform.system() == "Linux":
            return _told_by_linux(file)
        found = file.stat()
    except (OSError, AttributeError):  # no such file; a C library without statx
        return None
    born = getattr(found, "st_birthtime", found.st_ctime if platform.system() == "Windows" else 0)
    return f"{found.st_ino}:{born:.6f}" if found.st_ino and born > 0 else None


def machine(root: Path = Path("/")) -> Identity:
    """The installation's id and its network cards' own addresses, by Linux; empty in most containers and elsewhere.

    A disk that is restored beside the first has the same files with the same births, but not the same cards.
    """
    try:
        installed = (root / "etc/machine-id").read_text().strip()
        cards = sorted(
            (card / "address").read_text().strip()
            for card in (root / "sys/class/net").iterdir()
            if (card / "device").exists()  # hardware, or a virtual machine's: no bridge, no tunnel
            and "/usb" not in str((card / "device").resolve())  # nor a dock, which stays behind
            and (card / "addr_assign_type").read_text().strip() == "0"  # its own: not random, not typed
        )
    except OSError:
        return {}
    return {"machine": installed, "cards": cards} if installed and cards else {}


def _told_by_linux(file: Path) -> str | None:
    libc, name = ctypes.CDLL(None), os.fsencode(file)
    system, told = ctypes.create_string_buffer(256), ctypes.create_string_buffer(256)
    if libc.statfs(name, system) or libc.statx(_AT_FDCWD, name, 0, _NUMBER | _BIRTH, told):
        return None
    (mask,), (number,), (seconds, nanoseconds) = (
        unpack_from(form, told, offset) for form, offset in (("=I", 0), ("=Q", 32), ("=qI", 80))
    )
    if unpack_from("@L", system)[0] not in _KEEPING or not mask & _BIRTH or seconds <= 0:
        return None
    return f"{number}:{seconds}.{nanoseconds:09}"


def _of_database(connection: Connection) -> Identity:
    number = connection.scalar(text("select cast(oid as bigint) from pg_database where datname = current_database()"))
    readable = "select has_function_privilege('pg_control_system()', 'execute')"
    server = None
    if connection.scalar(text(readable)):
        server = connection.scalar(text("select system_identifier from pg_control_system()"))
    return {"server": server and str(server), "database": number}


def _place(connection: Connection) -> str:
    """The place in words."""
    url = connection.engine.url
    if connection.dialect.name == "postgresql":
        return f"the database {url.database} at {url.host or socket.gethostname()}"
    return f"{Path(url.database or '').absolute()} on {socket.gethostname()}"


def _last(connection: Connection) -> Row[Any] | None:
    return connection.execute(select(homes).order_by(homes.c.number.desc()).limit(1)).one_or_none()
