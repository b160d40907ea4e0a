"""A clone to set up: the real set-up with a small lock, and a package index in a folder."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

from tests.test_tree import ROOT

SECONDS = 240
_SUPPORTED = tuple(f"3.{minor}" for minor in range(11, 15))
# Every process of a test run calls this during collection, so imports are kept few.
_DESCRIBE = (
    "import sys, importlib.util; importlib.util.find_spec('venv') or sys.exit(1); "
    "print('%d.%d' % sys.version_info[:2], sys.executable)"
)


@cache
def pythons() -> dict[str, str]:
    """Return one Python of each supported version that is found here, with an old pip where there is a choice."""
    found: dict[str, str] = {}
    named = ("/usr/bin/python3", *(f"python{version}" for version in _SUPPORTED), os.path.realpath(sys.executable))
    for candidate in (*named, *map(str, sorted((Path.home() / ".pyenv/versions").glob("3.1[1-9]*/bin/python3")))):
        # A version manager's shim may exist without an installed version.
        if shutil.which(candidate) is None:
            continue
        done = subprocess.run([candidate, "-S", "-c", _DESCRIBE], check=False, capture_output=True, text=True)
        version, _, python = done.stdout.strip().partition(" ")
        if version in _SUPPORTED:
            found.setdefault(version, python)
    return found


class Index:
    """A package index (PEP 503) in a folder, with the wheels of a test."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def url(self) -> str:
        return self._directory.as_uri()

    def release(self, name: str, version: str, *metadata: str) -> str:
        """Add a release; return its line for a lock."""
        project = self._directory / name
        project.mkdir(parents=True, exist_ok=True)
        wheel = _wheel(project, name, version, metadata)
        links = [f'<a href="{path.name}">{path.name}</a>' for path in sorted(project.glob("*.whl"))]
        (project / "index.html").write_text("\n".join(links), encoding="utf-8")
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


def _wheel(directory: Path, name: str, version: str, metadata: tuple[str, ...]) -> Path:
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{about}/METADATA": "\n".join(
            ("Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, "")
        ),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
    files[f"{about}/RECORD"] = "\n".join((*record, f"{about}/RECORD,,", ""))
    wheel = directory / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class Clone:
    """A fresh clone with the files that set-up needs."""

    def __init__(self, root: Path, index_url: str) -> None:
        self.root = root
        self._index_url = index_url
        shutil.copytree(
            ROOT / "infrastructure/local",
            root / "infrastructure/local",
            ignore=shutil.ignore_patterns("tests", "__pycache__"),
        )
        (root / "infrastructure/__init__.py").touch()
        (root / "requirements").mkdir()

    def lock(self, *lines: str, packages: str = "runtime") -> Path:
        file = self.root / "requirements" / f"{packages}.txt"
        file.write_text("\n".join((*lines, "")), encoding="utf-8")
        return file

    def set_up(
        self, *options: str, python: str = "", under: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run what `make` runs, without the machine's own configuration of pip."""
        command = [*under, "sh", "infrastructure/local/setup.sh", "--without-servers", *options]
        return self.run(*command, PYTHON=python or os.path.realpath(sys.executable), **environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "HOLDFAST_CACHE": str(self.root / "cache"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self._index_url,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_RETRIES": "0",
        }
        return subprocess.run(
            command,
            cwd=self.root,
            env={**settings, **environment},
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def installed(self) -> dict[str, str]:
        """The packages recorded in the environment, by name; running pip would take most of a second."""
        found = self.root.glob(".venv/lib/python*/site-packages/*.dist-info")
        return dict(path.name.removesuffix(".dist-info").split("-") for path in found)
