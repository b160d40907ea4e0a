"""A stack's directory: its files and ports.

Guarantee: one home belongs to one stack; a process that changes it holds its lock; its secrets are generated once and
readable by its owner only. This module starts and stops no process.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from infrastructure.local.accounts import can_reach, database_account
from infrastructure.local.errors import StackError
from infrastructure.local.locks import open_lock
from infrastructure.local.nodes import COUNTS, NODES, Node, processes
from infrastructure.processes import PORTS_PER_STACK, Process

DEFAULT_HOME = Path(".holdfast")
DEFAULT_PORT_BASE = 8000
REPOSITORY = Path(__file__).resolve().parents[2]
# The kernel's limit is 108 bytes; the supervisor appends its process id while it binds.
_SOCKET_PATH_BYTES = 96
_LOWEST_PORT_BASE = 1024
_HIGHEST_PORT_BASE = 65535 - PORTS_PER_STACK
# One of these makes a directory a home.
_MARKS = frozenset({"settings.json", "secrets.json"})
# Allowed files of a directory that becomes a home: of an earlier attempt, a chaos run, or sharing test sessions.
_BEGINNINGS = frozenset({"run", "log", "lock", "chaos", "holders", "turn", "started-by-tests"})


@dataclass(frozen=True, slots=True)
class Home:
    """The directory and the first port of a stack, and how many nodes its broker has."""

    path: Path
    port_base: int
    rabbitmq_nodes: int = 1

    @property
    def processes(self) -> tuple[Process, ...]:
        """The process table, with each node of the broker, in the order of phases."""
        return processes(self.rabbitmq_nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The broker's nodes."""
        return NODES[: self.rabbitmq_nodes]

    def port(self, name: str) -> int:
        """Return the port of the named process; LookupError if it has none."""
        for line in self.processes:
            if line.name == name and line.port_offset is not None:
                return self.port_base + line.port_offset
        raise LookupError(f"{name} listens on no port of this stack")

    def log(self, name: str) -> Path:
        """Return the log file of the named process."""
        return self.path / "log" / f"{name}.log"

    def data(self, name: str) -> Path:
        """Return the state directory of the named process."""
        return self.path / name

    @property
    def run(self) -> Path:
        """The directory of generated files."""
        return self.path / "run"

    @property
    def programs_file(self) -> Path:
        """The process file: command, environment and account of each process."""
        return self.run / "programs.json"

    @property
    def socket(self) -> Path:
        """The supervisor's socket; elsewhere if the home's path is too long for one."""
        inside = self.run / "supervisor.sock"
        if len(os.fsencode(inside)) <= _SOCKET_PATH_BYTES:
            return inside
        # Not $TMPDIR: a command in another shell must find it too. (Private, see below.)
        directory = Path("/tmp") / f"holdfast-{os.getuid()}"  # noqa: S108 - a private directory, made below
        return directory / f"{sha256(os.fsencode(self.path)).hexdigest()[:16]}.sock"


def open_home(path: Path, port_base: int | None = None, rabbitmq_nodes: int | None = None) -> Home:
    """Return the home, created if needed. Without a port base it keeps its own; the number of nodes is fixed."""
    path = path.absolute()
    known = existing_home(path)
    base = port_base or (known.port_base if known else DEFAULT_PORT_BASE)
    if not _LOWEST_PORT_BASE <= base <= _HIGHEST_PORT_BASE:
        raise StackError(f"the port base must be between {_LOWEST_PORT_BASE} and {_HIGHEST_PORT_BASE}, not {base}")
    home = Home(path, base, _node_count(known, rabbitmq_nodes))
    try:
        if _is_foreign(path):
            raise StackError(f"{path} contains other files: a home must be a separate directory")
        for directory in (path, home.run, path / "log"):
            directory.mkdir(parents=True, exist_ok=True)
        _close(path)
        for directory in (home.run, path / "log"):
            directory.chmod(0o700)
        _prepare_socket_directory(home)
    except OSError as error:
        raise StackError(f"{path} cannot be used as a home: {error}") from error
    return home


def existing_home(path: Path) -> Home | None:
    """Return the home if a stack was ever started there."""
    path = path.absolute()
    try:
        known = json.loads((path / "settings.json").read_text(encoding="utf-8"))
        return Home(path, int(known["port_base"]), int(known.get("rabbitmq_nodes", 1)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StackError(f"{path} cannot be used as a home: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StackError(f"{path / 'settings.json'} is damaged: {error}") from error


def remember(home: Home) -> None:
    """Store the home's ports and nodes, so that later commands need only its path."""
    known = {"port_base": home.port_base, "rabbitmq_nodes": home.rabbitmq_nodes}
    write_private(home.path / "settings.json", json.dumps(known) + "\n")


@contextmanager
def locked(home: Home, timeout_seconds: float = 300) -> Iterator[None]:
    """Hold the home's lock: one `up` or `down` at a time."""
    deadline = time.monotonic() + timeout_seconds
    with open_lock(home.path / "lock") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StackError(f"another command is still using {home.path}") from None
                time.sleep(0.1)
        yield


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _node_count(known: Home | None, requested: int | None) -> int:
    if requested is not None and requested not in COUNTS:
        raise StackError(f"a stack has {' or '.join(map(str, COUNTS))} RabbitMQ nodes, not {requested}")
    if known and requested not in {None, known.rabbitmq_nodes}:
        raise StackError(
            f"the stack in {known.path} was made with --rabbitmq-nodes {known.rabbitmq_nodes} and keeps that: its "
            f"queues are on those nodes. Use another --home for {requested}, or delete this one's data first."
        )
    return requested or (known.rabbitmq_nodes if known else 1)


def _is_foreign(path: Path) -> bool:
    """Whether there are foreign files. They would become private, and be deleted with the home's data."""
    found = {entry.name for entry in path.iterdir()} if path.exists() else set()
    return not found & _MARKS and bool(found - _BEGINNINGS)


def _close(path: Path) -> None:
    """Make it private; if root runs the stack, PostgreSQL's account may traverse it without reading."""
    account = database_account()
    if account is None or not can_reach(account, path.parent):
        path.chmod(0o700)
        return
    os.chown(path, -1, account.gid)
    path.chmod(0o710)


def _prepare_socket_directory(home: Home) -> None:
    directory = home.socket.parent
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.stat().st_uid != os.getuid():
        raise StackError(f"{directory} belongs to someone else")
