"""MongoDB's accounts: the account of each process, and its privileges.

Guarantee: a context's account reads and writes only the database of its name. `live` and `bridge` read only the
archive's events (docs/decisions/0021); `live` writes nothing, `bridge` has its own database.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infrastructure.processes import DOCUMENT_CONTEXTS, MAIL

ARCHIVE, EVENTS = "archive", "events"


@dataclass(frozen=True, slots=True)
class CustomRole:
    """A custom MongoDB role: actions on one collection (or on none), in its database."""

    name: str
    database: str
    collection: str
    actions: tuple[str, ...]

    @property
    def privileges(self) -> list[dict[str, Any]]:
        resource = {"db": self.database, "collection": self.collection}
        return [{"resource": resource, "actions": list(self.actions)}]


EVENTS_READER = CustomRole("events_reader", ARCHIVE, EVENTS, ("find", "changeStream"))
CUSTOM_ROLES = (EVENTS_READER,)
# Accounts whose URL names the database that they read, and their roles there.
READERS: Mapping[str, CustomRole] = {"live": EVENTS_READER, "bridge": EVENTS_READER}
_ALSO_OWN_DATABASE = frozenset({"bridge"})

DOCUMENT_ACCOUNTS: tuple[str, ...] = (*DOCUMENT_CONTEXTS, MAIL, *READERS)


def database_of(account: str) -> str:
    """Return the database that an account works with."""
    return READERS[account].database if account in READERS else account


def roles_of(account: str) -> list[dict[str, str]]:
    """Return the account's roles in the format of MongoDB's `createUser`."""
    own = [{"role": "readWrite", "db": account}]
    if account not in READERS:
        return own
    reads = [{"role": READERS[account].name, "db": READERS[account].database}]
    return reads + own if account in _ALSO_OWN_DATABASE else reads
