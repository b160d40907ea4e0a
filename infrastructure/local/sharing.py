"""One stack for several concurrent test sessions: the first starts it, the last one stops it.

Guarantee: while any session uses it, no other session stops the stack. A stack started by hand is used and not stopped.
A killed session releases its lock (a kernel lock).
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infrastructure.document_roles import DOCUMENT_ACCOUNTS
from infrastructure.local.home import existing_home, open_home
from infrastructure.local.locks import open_lock
from infrastructure.local.ports import free_port_base
from infrastructure.local.progress import Progress, silent
from infrastructure.local.stack import Stack
from infrastructure.local.startup import Extent
from infrastructure.processes import RELATIONAL_CONTEXTS


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of running servers, each with an administrator's credentials, and the processes' credentials.

    For a cluster it is the first node.
    """

    postgres_admin_url: str
    rabbitmq_url: str
    rabbitmq_management_url: str
    mongodb_url: str
    database_urls: dict[str, str]
    database_passwords: dict[str, str]
    document_urls: dict[str, str]
    broker_passwords: dict[str, str]


def servers_of(stack: Stack) -> Servers:
    urls = stack.urls
    return Servers(
        postgres_admin_url=urls.postgres_administrator,
        rabbitmq_url=urls.rabbitmq.partition(";")[0],
        rabbitmq_management_url=urls.rabbitmq_management.partition(";")[0],
        mongodb_url=urls.mongodb_administrator,
        database_urls={context: urls.database(context) for context in RELATIONAL_CONTEXTS},
        database_passwords=dict(stack.credentials.databases),
        document_urls={account: urls.documents(account) for account in DOCUMENT_ACCOUNTS},
        broker_passwords=dict(stack.credentials.brokers),
    )


@contextmanager
def shared_stack(home: Path, servers_only: bool, progress: Progress = silent) -> Iterator[Stack]:
    """Yield a running stack, on ports that were free when it was first started."""
    home = home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    ours = home / "started-by-tests"
    with open_lock(home / "holders") as holders, open_lock(home / "turn") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        stack = _stack(home)
        if not stack.is_running:
            ours.touch(0o600)
        fcntl.flock(holders, fcntl.LOCK_SH)
        try:
            stack.up(Extent.SERVERS if servers_only else Extent.EVERYTHING, progress)
            fcntl.flock(turn, fcntl.LOCK_UN)
            yield stack
        finally:
            fcntl.flock(turn, fcntl.LOCK_EX)
            if ours.exists() and _alone(holders.fileno()):
                stack.down()
                ours.unlink()


def _stack(home: Path) -> Stack:
    known = existing_home(home)
    if known and (stack := Stack(home)).is_running:
        return stack
    # Between two sessions another program may have taken the ports.
    return Stack(home, open_home(home, free_port_base(home)).port_base)


def _alone(holders: int) -> bool:
    try:
        fcntl.flock(holders, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
