"""Set-up installs exactly the lock, with every supported Python and pip; `bootstrap.py`, `virtualenv.py`."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from infrastructure.local.tests.setup_clone import Clone, Index, pythons

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
# The earlier command resolved the lock during installation.
RESOLVING = (".venv/bin/python", "-m", "pip", "install", "--require-hashes", "--target", "resolved", "--requirement")
RESOLVES_EXTRAS_PAST_THE_PIN = (23, 2)  # the last pip that does so; Python 3.11 and 3.12 include it, or an older one


def locked_then_released(index: Index) -> list[str]:
    """Lock three packages, of which one asks for another with an extra; then release a newer one of that."""
    lock = [
        index.release("paint", "1.0", "Provides-Extra: gloss", 'Requires-Dist: varnish ; extra == "gloss"'),
        index.release("canvas", "1.0", "Requires-Dist: paint[gloss]>=1.0"),
        index.release("varnish", "1.0"),
    ]
    index.release("paint", "2.0", "Provides-Extra: gloss", 'Requires-Dist: varnish ; extra == "gloss"')
    return lock


@pytest.mark.parametrize("python", pythons().values(), ids=pythons().keys())
def test_a_release_after_the_lock_was_written_changes_nothing(tmp_path: Path, python: str) -> None:
    index = Index(tmp_path / "index")
    clone = Clone(tmp_path / "clone", index.url)
    lock = clone.lock(*locked_then_released(index))
    done = clone.set_up(python=python)
    assert done.returncode == 0, done.stderr
    installed = clone.installed()
    pip = tuple(int(part) for part in installed.pop("pip").split(".")[:2])
    assert installed == {"paint": "1.0", "canvas": "1.0", "varnish": "1.0"}
    resolved = clone.run(*RESOLVING, str(lock))
    if pip <= RESOLVES_EXTRAS_PAST_THE_PIN:
        assert "must have their versions pinned with ==" in resolved.stderr
    else:
        assert resolved.returncode == 0, resolved.stderr


def test_test_packages_are_installed_on_request_and_kept(clone: Clone, index: Index) -> None:
    runtime = index.release("paint", "1.0")
    clone.lock(runtime)
    clone.lock(runtime, index.release("easel", "1.0"), packages="dev")
    for options, packages in (((), {"paint"}), (("--tests",), {"paint", "easel"}), ((), {"paint", "easel"})):
        done = clone.set_up(*options)
        assert done.returncode == 0, done.stderr
        assert clone.installed().keys() - {"pip"} == packages
    assert done.stdout == ""  # nothing to do


def test_packages_removed_from_the_lock_are_uninstalled(clone: Clone, index: Index) -> None:
    kept = index.release("paint", "1.0")
    for lock in ((kept, index.release("easel", "1.0")), (kept,)):
        clone.lock(*lock, packages="dev")
        assert clone.set_up("--tests").returncode == 0
    assert clone.installed().keys() == {"paint", "pip"}


def test_a_lock_without_a_required_package_is_rejected(clone: Clone, index: Index) -> None:
    clone.lock(index.release("canvas", "3.0", "Requires-Dist: varnish"), packages="dev")
    done = clone.set_up("--tests")
    assert done.returncode == 1
    assert done.stderr.strip().startswith("The lock is inconsistent: a package lacks a dependency")
    assert "canvas 3.0 requires varnish, which is not installed" in done.stderr


def test_the_command_runs_from_any_directory(clone: Clone) -> None:
    clone.lock(packages="dev")
    (clone.root / "holdfast").mkdir()
    (clone.root / "holdfast" / "cli.py").write_text("def main() -> str:\n    return 'called'\n")
    assert clone.set_up("--tests").returncode == 0
    command = clone.root / ".venv/bin/holdfast"
    called = subprocess.run([command], check=False, cwd="/", capture_output=True, text=True)
    assert called.stderr == "called\n"  # the behaviour of `sys.exit` with a text
