"""Finds the programs of the four servers and the browser of the tests: the system's own, or the private ones.

Guarantee: a returned program was run once, with the returned environment, and is new enough. HOLDFAST_PRIVATE_SERVERS=1
ignores the system's programs. Missing ones are not downloaded here (see fetch.py).
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infrastructure.local.debs import library_paths

ERLANG_WRAPPER = "holdfast-bin"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CHECK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Program:
    """A server's executable, and its required environment variables."""

    name: str
    executable: Path
    version: str
    private: bool
    environment: dict[str, str] = field(default_factory=dict)

    def sibling(self, name: str) -> Path:
        """Return another program of the same directory."""
        return self.executable.with_name(name)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How to find and test one server. The first group of `pattern` is the version."""

    oldest: tuple[int, int]
    system: Callable[[], Iterator[Path]]
    private_pattern: str
    check: Callable[[Path], list[str]]
    pattern: str


def locate(name: str, cache: Path) -> Program | None:
    """Return the server's program if it exists, runs, and is new enough."""
    kind = _KINDS[name]
    if not os.environ.get("HOLDFAST_PRIVATE_SERVERS"):
        for executable in kind.system():
            if program := _check_version(name, kind, executable, None):
                return program
    prefix = cache / name
    for executable in sorted(prefix.glob(kind.private_pattern), reverse=True):
        if program := _check_version(name, kind, executable, prefix):
            return program
    return None


def base_path() -> str:
    """Return the caller's PATH with the directories of administration programs."""
    return f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"


def epmd_of(rabbitmq: Program) -> Path:
    """Return Erlang's port mapper that belongs to the broker's Erlang."""
    prefix = rabbitmq.executable.parents[6] if rabbitmq.private else Path("/")
    found = sorted(prefix.glob("usr/lib/erlang/erts-*/bin/epmd"))
    if found:
        return found[-1]
    return Path(shutil.which("epmd", path=base_path()) or "epmd")


def complaint(name: str, cache: Path) -> str:
    """Return what the private program prints when it does not run, or an empty string."""
    kind, prefix = _KINDS[name], cache / name
    for executable in sorted(prefix.glob(kind.private_pattern), reverse=True):
        answer = _answer(kind, executable, _private_environment(prefix))
        if answer is not None and answer.returncode != 0:
            return answer.stderr.strip()
    return ""


def _check_version(name: str, kind: _Kind, executable: Path, prefix: Path | None) -> Program | None:
    environment = {"PATH": base_path()} if prefix is None else _private_environment(prefix)
    answer = _answer(kind, executable, environment)
    if answer is None or answer.returncode != 0:
        return None
    match = re.search(kind.pattern, f"{executable}\n{answer.stdout}{answer.stderr}")
    if match is None:
        return None
    version = match[1]
    if tuple(int(part) for part in version.split(".")[:2]) < kind.oldest:
        return None
    return Program(name, executable, version, prefix is not None, environment)


def _answer(kind: _Kind, executable: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            kind.check(executable),
            check=False,
            capture_output=True,
            text=True,
            timeout=_CHECK_SECONDS,
            env={"HOME": os.environ.get("HOME", "/"), **environment},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _private_environment(prefix: Path) -> dict[str, str]:
    environment = {"PATH": f"{prefix / ERLANG_WRAPPER}:{base_path()}"}
    if libraries := library_paths(prefix):
        environment["LD_LIBRARY_PATH"] = ":".join(map(str, libraries))
    return environment


def _on_path(name: str) -> Callable[[], Iterator[Path]]:
    def search() -> Iterator[Path]:
        found = shutil.which(name, path=base_path())
        if found:
            yield Path(found)

    return search


def _system_postgres() -> Iterator[Path]:
    def number(executable: Path) -> float:
        version = executable.parents[1].name
        return float(version) if version.replace(".", "", 1).isdigit() else 0

    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=number, reverse=True)
    yield from _on_path("postgres")()


def _system_rabbitmq() -> Iterator[Path]:
    # Not the wrapper in /usr/sbin: it changes the user and forgets the environment.
    yield from Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server")


def _system_browsers() -> Iterator[Path]:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        yield from _on_path(name)()


def _erlang_check(_executable: Path) -> list[str]:
    # Loading crypto and ssl checks the shared libraries, which the version alone does not.
    return ["erl", "-noinput", "-boot", "start_clean", "-eval", "ok = crypto:start(), ok = ssl:start(), halt()."]


_KINDS = {
    "postgres": _Kind(
        oldest=(13, 0),
        system=_system_postgres,
        private_pattern="usr/lib/postgresql/*/bin/postgres",
        check=lambda executable: [str(executable), "--version"],
        pattern=r"PostgreSQL\) (\d+\.\d+)",
    ),
    "rabbitmq": _Kind(
        oldest=(3, 10),
        system=_system_rabbitmq,
        private_pattern="usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
        check=_erlang_check,
        pattern=r"rabbitmq_server-(\d+\.\d+\.\d+)",
    ),
    "mongodb": _Kind(
        oldest=(4, 4),
        system=_on_path("mongod"),
        private_pattern="bin/mongod",
        check=lambda executable: [str(executable), "--version"],
        pattern=r"db version v(\d+\.\d+\.\d+)",
    ),
    "gateway": _Kind(
        oldest=(1, 18),
        system=_on_path("nginx"),
        private_pattern="usr/sbin/nginx",
        check=lambda executable: [str(executable), "-v"],
        pattern=r"nginx/(\d+\.\d+\.\d+)",
    ),
    "browser": _Kind(
        oldest=(120, 0),
        system=_system_browsers,
        private_pattern="usr/lib/chromium/chromium",
        check=lambda executable: [str(executable), "--version"],
        pattern=r"(?:Chromium|Google Chrome) (\d+\.\d+)",
    ),
}
BROWSER = "browser"  # for tests only, not part of a stack
SERVERS = tuple(name for name in _KINDS if name != BROWSER)
