"""The account that runs PostgreSQL, and its data directory.

PostgreSQL refuses to run as root. So root starts it as another existing account, whose data must be in a directory that
it can access. An ordinary user runs everything with the own account.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from infrastructure.local.errors import StackError

_CANDIDATES = ("postgres", "nobody")
SYSTEM_DATA = Path("/var/lib/holdfast")


@dataclass(frozen=True, slots=True)
class Account:
    """A system account, by its numeric ids."""

    name: str
    uid: int
    gid: int


def database_account() -> Account | None:
    """Return the account for PostgreSQL, or None for the caller's own."""
    if os.geteuid() != 0:
        return None
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL does not run as root, and this system has neither an account `postgres` nor `nobody`. "
        "Make one (`useradd --system postgres`) or run as an ordinary user."
    )


def can_reach(account: Account, directory: Path) -> bool:
    """Whether the account may pass through every directory down to this one, which may not exist yet."""
    return all(_may_pass(account, place) for place in (directory, *directory.parents) if place.exists())


def postgres_data(home: Path, identity: str, account: Account | None) -> Path:
    """Return PostgreSQL's data directory: in the home, or where its account can access it.

    Outside the home its name contains the home's `identity`, so that a recreated home does not use data with unknown
    passwords.
    """
    if account is None or can_reach(account, home):
        return home / "postgres"
    return SYSTEM_DATA / identity / "postgres"


def _may_pass(account: Account, directory: Path) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)
