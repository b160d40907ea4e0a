"""A failed set-up reports its cause in the first line: `setup_errors.py`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infrastructure.local.setup_errors import cause_of
from infrastructure.local.tests.setup_clone import Clone, Index

if TYPE_CHECKING:
    import subprocess

AS_ROOT = os.geteuid() == 0
# root may write everywhere, unless it drops its privileges.
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if AS_ROOT else ()
SMALL_DISK = 'mount -t tmpfs -o size=1m none disk && cp -r infrastructure requirements disk && cd disk && exec "$@"'
ON_A_SMALL_DISK = ("unshare", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh")


def first_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[0]


@pytest.mark.slow
def test_an_unreachable_index_is_reported(clone: Clone, index: Index) -> None:
    clone.lock(index.release("paint", "5.0"), packages="dev")
    done = clone.set_up("--tests", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="1")
    assert first_line(done).startswith("A package index cannot be reached. Check the network")
    log = clone.root / ".holdfast-setup.log"
    assert f"The end of {log}:" in done.stderr
    assert "127.0.0.1" in log.read_text()


@pytest.mark.slow
def test_a_package_with_a_wrong_hash_is_reported(clone: Clone, index: Index) -> None:
    clone.lock(index.release("paint", "5.0")[:-4] + "0000", packages="dev")
    done = clone.set_up("--tests")
    assert first_line(done).startswith("A downloaded package is not the one in the lock")
    assert "paint==5.0" in done.stderr
    assert "paint" not in clone.installed()


@pytest.mark.slow
def test_a_missing_version_is_reported(clone: Clone, index: Index) -> None:
    locked = index.release("paint", "5.0")
    clone.lock(locked.replace("5.0", "5.1"), packages="dev")
    done = clone.set_up("--tests")
    assert first_line(done).startswith("The package index lacks a locked version")
    assert "paint==5.1" in done.stderr


def fresh_clone(directory: Path) -> Clone:
    clone = Clone(directory, "http://127.0.0.1:9/simple")
    clone.lock()
    return clone


def test_a_read_only_folder_is_reported(tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path / "clone")
    clone.root.chmod(0o555)
    done = clone.set_up(under=UNPRIVILEGED)
    clone.root.chmod(0o755)
    assert first_line(done).startswith("This user may not write to a place")
    assert f"'{clone.root}/.venv'" in done.stderr


@pytest.mark.slow
def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path / "clone")
    (clone.root / "disk").mkdir()
    if clone.run(*ON_A_SMALL_DISK, "true").returncode != 0:
        pytest.skip("this user may not make a file system")
    assert first_line(clone.set_up(under=ON_A_SMALL_DISK)).startswith("The disk is full. Free some space")


def test_a_python_without_pip_is_reported(tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path / "clone")
    for tool in ("sh", "dirname"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tool).symlink_to(shutil.which(tool) or "")
    done = clone.set_up(python=str(without_ensurepip(tmp_path / "python")), PATH=str(tmp_path / "bin"))
    version = ".".join(map(str, sys.version_info[:2]))
    assert first_line(done).startswith("This Python lacks `ensurepip`")
    assert f"sudo apt-get install python{version}-venv" in first_line(done)


def without_ensurepip(prefix: Path) -> Path:
    """Make a copy of this Python, of links, that lacks `ensurepip`."""
    base = Path(sys.base_prefix)
    library = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    (prefix / library).mkdir(parents=True)
    for path in (base / library).iterdir():
        if path.name not in {"ensurepip", "site-packages"}:
            (prefix / library / path.name).symlink_to(path)
    (prefix / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), prefix / "bin" / "python3")
    return prefix / "bin" / "python3"


@pytest.mark.parametrize(
    ("printed", "cause"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer", "The certificate"),
        (
            "ERROR: HTTP error 403 while getting x\nERROR: 403 Client Error: Forbidden for url",
            "The package index or a proxy",
        ),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("E: Failed to fetch ...  Temporary failure resolving", "A package index cannot be reached"),
        (
            "WARNING: Retrying after 'ReadTimeoutError'\nERROR: THESE PACKAGES DO NOT MATCH THE HASHES",
            "A downloaded package",
        ),
    ],
)
def test_the_cause_is_found_in_the_tools_output(printed: str, cause: str) -> None:
    assert (cause_of(printed) or "").startswith(cause)


def test_an_unknown_cause_is_not_guessed() -> None:
    assert cause_of("ERROR: something else") is None
