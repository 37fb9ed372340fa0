"""Says in words what keeps a command from its files, its ledger and its models: locked, full, not allowed, older."""

import errno

from dunning_pipeline.errors import DunningError

_SPACE = "make room, then run it again: what may have left is never sent twice"
_ACCESS = "let this user write to the ledger's file and to the folder around it"
_MODELS = (
    "`dunning build`; where that does not help, `dunning doctor` names the models that lack or differ: copy them from "
    "a fresh `dunning init FOLDER`, then build"
)
_OWNER = "let DUNNING_LEDGER_URL name the user that owns the ledger's tables and may create some in its schema"
# The databases' own words, bare or wrapped by SQLAlchemy → what they mean here, what to do
_MEANINGS = (
    ("database is locked", "another process keeps the ledger locked", "run it again when that has ended"),
    ("due to lock timeout", "another process keeps the ledger locked", "run it again when that has ended"),
    ("database or disk is full", "no space is left on the ledger's disk", _SPACE),
    ("could not extend file", "no space is left on the disk of the ledger's server", _SPACE),
    ("No space left on device", "no space is left on the disk", _SPACE),
    ("disk I/O error", "the ledger's file cannot be read or written: its disk is full or fails", _SPACE),
    ("attempt to write a readonly database", "the ledger may not be written", _ACCESS),
    ("unable to open database file", "the ledger's file cannot be opened", _ACCESS),
    ("Read-only file system", "the workspace's folder can only be read", "let this user write to its `.dunning/`"),
    ("Permission denied", "a file of the workspace may not be used", "let this user write to its `.dunning/`"),
    (
        'FATAL:  database "',
        "the ledger's server lets nobody into this database: it is not there, or closed",
        "correct DUNNING_LEDGER_URL, or `createdb` it anew, then `dunning ledger restore FILE`",
    ),
    ("permission denied for", "the ledger's server does not let this user do that", _OWNER),
    ("must be owner of", "the ledger's server lets nobody change the ledger but its owner", _OWNER),
    ("too many clients", "the ledger's server takes no more connections", "end some workers, or raise max_connections"),
    ("password authentication failed", "the ledger's server refuses this user", "correct DUNNING_LEDGER_URL"),
    ('FATAL:  role "', "the ledger's server does not know this user", "correct DUNNING_LEDGER_URL, or `createuser`"),
    ("connection failed", "the ledger's server does not answer", "start it, or correct DUNNING_LEDGER_URL"),
    ("connection to server at", "the ledger's server does not answer", "start it, or correct DUNNING_LEDGER_URL"),
    ("the connection is lost", "the ledger's server went away", "run it again when it is back"),
    ("server closed the connection", "the ledger's server went away", "run it again when it is back"),
    ("terminating connection due to", "the ledger's server went away", "run it again when it is back"),
)


def in_words(error: Exception) -> DunningError | None:
    """The same trouble as a sentence with a remedy, worth trying again unless it said so itself; None for a fault."""
    if isinstance(error, DunningError):
        return error
    said = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.errno != errno.ENOSPC:
        return DunningError(error.strerror or said, value=str(error.filename))
    if type(error).__qualname__ in ("CatalogException", "BinderException"):  # of DuckDB, which is not loaded for this
        first = said.partition("\n")[0].partition(": ")[2]
        return DunningError(
            f"the models, or the tables built from them, are not of this version: {first}", remedy=_MODELS
        )
    for words, meaning, remedy in _MEANINGS:
        if words in said:
            told = DunningError(meaning, remedy=remedy)
            told.retry = "later"
            return told
    return None
