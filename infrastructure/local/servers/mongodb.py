"""MongoDB: a replica set of one with accounts, because transactions and majority writes need one.

Guarantee: access needs a password from the first start on (the key file turns it on); each context's
account owns its own database only. When the stack's ports change, so does the replica set's address.
"""

from contextlib import suppress
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from infrastructure.local.credentials import Credentials
from infrastructure.local.home import Home, write_private
from infrastructure.local.programs import Program
from infrastructure.local.readiness import wait_for
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST, MONGODB_ADMINISTRATOR, REPLICA_SET, Urls
from infrastructure.processes import DOCUMENT_CONTEXTS

_TIMEOUT_MS = 3_000
_PRIMARY_SECONDS = 60
_CONFIGURED_ALREADY = (13, 23)  # Unauthorized, AlreadyInitialized
_CACHE_GIGABYTES = "0.25"


def specs(home: Home, program: Program, credentials: Credentials) -> list[Spec]:
    """Write the key file, and return how the server is run."""
    data = home.data("mongodb")
    for directory in (data, data / "data"):
        directory.mkdir(mode=0o700, exist_ok=True)
    key_file = data / "key"
    write_private(key_file, credentials.mongodb_key + "\n")
    return [
        Spec(
            name="mongodb",
            words=[
                str(program.executable),
                *("--bind_ip", HOST, "--port", str(home.port("mongodb")), "--nounixsocket"),
                *("--dbpath", str(data / "data"), "--replSet", REPLICA_SET, "--keyFile", str(key_file)),
                *("--wiredTigerCacheSizeGB", _CACHE_GIGABYTES, "--oplogSize", "128", "--quiet"),
            ],
            environment={**program.environment, "LC_ALL": "C.UTF-8", "HOME": str(data)},
            directory=str(data),
            stop_seconds=30,
        )
    ]


def ready(home: Home, _credentials: Credentials) -> None:
    """Raise a pymongo error unless the server answers. (It may not be a primary yet: see provision.)"""
    with _bare_client(home) as client:
        client.admin.command("ping")


def provision(home: Home, credentials: Credentials) -> None:
    """Make the replica set and the accounts, or bring them up to date."""
    with _bare_client(home) as client:
        _make_primary(home, client, credentials)
        _make_administrator(client, credentials.mongodb_password)
    with _administrator(home, credentials) as client:
        for context in DOCUMENT_CONTEXTS:
            roles = [{"role": "dbOwner", "db": context}]
            _set_user(client, context, credentials.databases[context], roles)


def _make_primary(home: Home, client: MongoClient[Any], credentials: Credentials) -> None:
    address = f"{HOST}:{home.port('mongodb')}"
    hello = client.admin.command("hello")
    if "setName" not in hello:
        _initiate(home, client, credentials, address)
    elif hello.get("hosts") != [address]:
        _move(home, credentials, address)
    wait_for(lambda: _assert_primary(client), _PRIMARY_SECONDS, "MongoDB became no primary")


def _initiate(home: Home, client: MongoClient[Any], credentials: Credentials, address: str) -> None:
    members = [{"_id": 0, "host": address}]
    try:
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
    except OperationFailure as error:
        # It has accounts, and so a configuration, that names another address: the ports have changed.
        if error.code not in _CONFIGURED_ALREADY:
            raise
        _move(home, credentials, address)


def _move(home: Home, credentials: Credentials, address: str) -> None:
    with _administrator(home, credentials) as client:
        configuration = client.admin.command("replSetGetConfig")["config"]
        configuration["members"][0]["host"] = address
        configuration["version"] += 1
        client.admin.command("replSetReconfig", configuration, force=True)


def _make_administrator(client: MongoClient[Any], password: str) -> None:
    # Allowed without an account as long as there is none, and only from this machine.
    with suppress(OperationFailure):
        client.admin.command("createUser", MONGODB_ADMINISTRATOR, pwd=password, roles=["root"])


def _set_user(client: MongoClient[Any], name: str, password: str, roles: list[dict[str, str]]) -> None:
    exists = client.admin.command("usersInfo", name)["users"]
    client.admin.command("updateUser" if exists else "createUser", name, pwd=password, roles=roles)


def _assert_primary(client: MongoClient[Any]) -> None:
    if not client.admin.command("hello").get("isWritablePrimary"):
        raise ConnectionError("it is not a primary yet")


def _bare_client(home: Home) -> MongoClient[Any]:
    return MongoClient(
        HOST,
        home.port("mongodb"),
        directConnection=True,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=_TIMEOUT_MS * 5,
    )


def _administrator(home: Home, credentials: Credentials) -> MongoClient[Any]:
    # Without the set's name: after a change of ports the server is, for a moment, in no set.
    url = Urls(home, credentials).mongodb_administrator.replace(f"replicaSet={REPLICA_SET}&", "")
    return MongoClient(
        url,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=_TIMEOUT_MS * 5,
    )
