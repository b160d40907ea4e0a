"""MongoDB: a replica set of one with accounts, because transactions and majority writes need one.

Guarantee: access needs a password from the first start on (the key file enables it); each context's account owns only
its own database. The replica set's address follows the stack's ports.
"""

from infrastructure.local.credentials import Credentials
from infrastructure.local.errors import StackError
from infrastructure.local.home import Home, write_private
from infrastructure.local.programs import Program
from infrastructure.local.spec import Spec
from infrastructure.local.urls import HOST
from infrastructure.provision import mongodb as accounts

_CACHE_GIGABYTES = "0.25"


def specs(home: Home, program: Program, credentials: Credentials) -> list[Spec]:
    """Write the key file, and return the server's spec."""
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
                *("--dbpath", str(data / "data"), "--replSet", accounts.REPLICA_SET, "--keyFile", str(key_file)),
                *("--wiredTigerCacheSizeGB", _CACHE_GIGABYTES, "--oplogSize", "128", "--quiet"),
            ],
            environment={**program.environment, "LC_ALL": "C.UTF-8", "HOME": str(data)},
            directory=str(data),
            stop_seconds=30,
        )
    ]


def ready(home: Home, _credentials: Credentials) -> None:
    """Raise a pymongo error unless the server answers. (It may not be a primary yet: see provision.)"""
    accounts.ping(HOST, home.port("mongodb"))


def provision(home: Home, credentials: Credentials) -> None:
    """Create or update the replica set and the accounts."""
    port = home.port("mongodb")
    try:
        accounts.provision(HOST, port, f"{HOST}:{port}", credentials.mongodb_password, credentials.databases)
    except TimeoutError as error:
        raise StackError(str(error)) from error
