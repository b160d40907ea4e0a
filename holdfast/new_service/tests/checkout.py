"""A copy of this checkout, for tests that change it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECONDS = 900
CACHE = ".mypy_cache"


class Checkout:
    """`run` executes a command in the copy, with this environment's packages and the copy's modules."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        scripts = str(Path(sys.executable).parent)
        known = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        known |= {"PYTHONPATH": str(self.root), "PATH": f"{scripts}:{os.environ['PATH']}"} | environment
        return subprocess.run(
            words, cwd=self.root, env=known, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    def succeed(self, *words: str, **environment: str) -> str:
        done = self.run(*words, **environment)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def new_service(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("holdfast", "new", "service", *words)

    def status(self) -> str:
        return self.succeed("git", "status", "--porcelain")

    def read_types_from_here(self) -> None:
        """Let mypy reuse its cache of the same files and packages from this checkout, if there is one."""
        if (ROOT / CACHE).is_dir():
            shutil.copytree(ROOT / CACHE, self.root / CACHE)

    def commit(self) -> None:
        self.succeed("git", "add", "--all")
        self.succeed("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "-qm", "Test")


def copied(target: Path) -> Checkout:
    """Copy the tracked and new files of this checkout, and commit them there."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():  # deleted files are still listed
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    made = Checkout(target)
    made.succeed("git", "init", "-q")
    (target / ".venv").symlink_to(sys.prefix)
    (target / ".git" / "info" / "exclude").write_text(".venv\n")
    made.commit()
    return made
