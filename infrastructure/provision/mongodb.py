"""MongoDB's replica set and accounts.

Guarantee: the set is configured and this member is its primary; each account has exactly the roles of
infrastructure/document_roles.py. Creating the set and the first account is allowed only from the server's own machine
(the localhost exception), so `make_set` gets a local address.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infrastructure.document_roles import CUSTOM_ROLES, DOCUMENT_ACCOUNTS, CustomRole, roles_of

ADMINISTRATOR = "administrator"
REPLICA_SET = "holdfast"
_TIMEOUT_MS = 3_000
_PRIMARY_SECONDS = 60
_PAUSE_SECONDS = 0.1
_CONFIGURED_ALREADY = (13, 23)  # Unauthorized, AlreadyInitialized


def provision(host: str, port: int, member: str, administrator_password: str, passwords: Mapping[str, str]) -> None:
    """Create or update the set, whose single member has the address `member`, and the accounts."""
    with _client(host, port) as bare, _client(host, port, administrator_password) as administrator:
        _make_primary(bare, administrator, member)
        _make_administrator(bare, administrator_password)
        for role in CUSTOM_ROLES:
            _set_role(administrator, role)
        for account in DOCUMENT_ACCOUNTS:
            _set_user(administrator, account, passwords[account], roles_of(account))


def ping(host: str, port: int) -> None:
    """Raise a pymongo error unless the server answers. (It may not be a primary yet.)"""
    with _client(host, port) as client:
        client.admin.command("ping")


def _make_primary(bare: MongoClient[Any], administrator: MongoClient[Any], member: str) -> None:
    hello = bare.admin.command("hello")
    if "setName" not in hello:
        _initiate(bare, administrator, member)
    elif hello.get("hosts") != [member]:
        _move(administrator, member)
    deadline = time.monotonic() + _PRIMARY_SECONDS
    while not bare.admin.command("hello").get("isWritablePrimary"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"MongoDB did not become primary within {_PRIMARY_SECONDS} s")
        time.sleep(_PAUSE_SECONDS)


def _initiate(bare: MongoClient[Any], administrator: MongoClient[Any], member: str) -> None:
    members = [{"_id": 0, "host": member}]
    try:
        bare.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except OperationFailure as error:
        # It has accounts, and so a configuration, with another address: the address has changed.
        if error.code not in _CONFIGURED_ALREADY:
            raise
        _move(administrator, member)


def _move(administrator: MongoClient[Any], member: str) -> None:
    configuration = administrator.admin.command("replSetGetConfig")["config"]
    configuration["members"][0]["host"] = member
    configuration["version"] += 1
    administrator.admin.command("replSetReconfig", configuration, force=True)


def _make_administrator(bare: MongoClient[Any], password: str) -> None:
    # Allowed without an account until there is one.
    with suppress(OperationFailure):
        bare.admin.command("createUser", ADMINISTRATOR, pwd=password, roles=["root"])


def _set_role(administrator: MongoClient[Any], role: CustomRole) -> None:
    database = administrator[role.database]
    exists = database.command("rolesInfo", role.name)["roles"]
    database.command("updateRole" if exists else "createRole", role.name, privileges=role.privileges, roles=[])


def _set_user(administrator: MongoClient[Any], name: str, password: str, roles: list[dict[str, str]]) -> None:
    exists = administrator.admin.command("usersInfo", name)["users"]
    administrator.admin.command("updateUser" if exists else "createUser", name, pwd=password, roles=roles)


def _client(host: str, port: int, password: str | None = None) -> MongoClient[Any]:
    # Without the set's name: after an address change the server is briefly in no set.
    account: dict[str, Any] = (
        {"username": ADMINISTRATOR, "password": password, "authSource": "admin"} if password else {}
    )
    return MongoClient(
        host,
        port,
        directConnection=True,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=_TIMEOUT_MS * 5,
        **account,
    )
