"""Unpacks Debian packages into a private prefix: without root or installation, and without changes to the system.

Guarantee: `apt-get` verifies each package against the distribution's signatures, with its own lists next to the prefix.
Missing dependencies are included, so the prefix and the system together have every library. No maintainer script runs.
(Standard library only: the set-up uses it as well.)
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from infrastructure.local.errors import MissingServerError

_UPDATE_SECONDS = 300
_FRESH_SECONDS = 1800
_DOWNLOAD_SECONDS = 900
_LINE = re.compile(r"^'[^']+' (?P<name>[^_']+)_")


class PrivateApt:
    """`apt-get` with lists and cache under `directory`."""

    def __init__(self, directory: Path) -> None:
        for tool in ("apt-get", "dpkg"):
            if shutil.which(tool) is None:
                raise MissingServerError(f"{tool} is missing: this is not Debian or Ubuntu")
        self._directory = directory
        for place in ("lists/partial", "cache/archives/partial"):
            (directory / place).mkdir(parents=True, exist_ok=True)

    def update(self) -> None:
        """Download the distribution's package lists, unless they are recent. Tolerates an unavailable source."""
        stamp = self._directory / "updated"
        if stamp.exists() and 0 <= time.time() - stamp.stat().st_mtime < _FRESH_SECONDS:
            return
        if self._run("update", "-qq", seconds=_UPDATE_SECONDS).returncode == 0:
            stamp.touch()

    def missing(self, packages: tuple[str, ...]) -> list[str]:
        """Return the packages and their dependencies that the system lacks."""
        answer = self._run("install", "--print-uris", "-qq", "-y", "--no-install-recommends", *packages)
        if answer.returncode != 0:
            raise MissingServerError(f"apt-get cannot resolve {' '.join(packages)}:\n{answer.stderr.strip()}")
        found = [match["name"] for line in answer.stdout.splitlines() if (match := _LINE.match(line))]
        # Include installed packages too; a virtual name (such as libcurl4 since 2024) cannot be downloaded.
        return [*found, *(package for package in packages if package not in found and self._is_real(package))]

    def dependency(self, package: str, pattern: str) -> str:
        """Return the package's dependency of that form, for example the version of the distribution's `postgresql`."""
        answer = self._run("depends", "--important", package, program="apt-cache")
        match = re.search(rf"Depends: ({pattern})\n", answer.stdout)
        if match is None:
            raise MissingServerError(f"the package lists do not contain {package}\n{answer.stderr.strip()}")
        return match[1]

    def extract(self, packages: list[str], prefix: Path) -> None:
        """Download the packages and unpack them below the prefix."""
        archives = prefix / ".archives"
        archives.mkdir()
        answer = self._run("download", "-q", *packages, seconds=_DOWNLOAD_SECONDS, directory=archives)
        if answer.returncode != 0:
            raise MissingServerError(f"apt-get could not download packages:\n{answer.stderr.strip()}")
        for archive in sorted(archives.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(archive), str(prefix)], check=True, timeout=300)
        shutil.rmtree(archives)

    def _is_real(self, package: str) -> bool:
        answer = self._run("policy", package, program="apt-cache")
        return "Candidate: " in answer.stdout and "Candidate: (none)" not in answer.stdout

    def _run(
        self, *words: str, seconds: float = 120, directory: Path | None = None, program: str = "apt-get"
    ) -> subprocess.CompletedProcess[str]:
        options = {
            "Dir::State::Lists": self._directory / "lists",
            "Dir::Cache": self._directory / "cache",
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "root",
            "Acquire::Retries": "3",
        }
        command = [program, *(f"-o{name}={value}" for name, value in options.items()), *words]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=directory,
            env=environment,
        )


def library_paths(prefix: Path) -> list[Path]:
    """Return the directories of shared libraries below a prefix.

    Some packages keep libraries in a folder of their own, which RUNPATH names from the root: libpulse0 does.
    """
    places = [place for root in ("usr/lib", "lib") for place in sorted(prefix.glob(f"{root}/*-linux-gnu*"))]
    own = sorted({library.parent for place in places for library in place.glob("*/lib*.so*")})
    return [place for place in (*places, *own) if place.is_dir()]
