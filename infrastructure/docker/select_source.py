"""Copies the source files of an image: `select_source.py FROM TO [CONTEXT]`.

Guarantee: without a context everything but tests; with one, only the kit and that context's service and worker. An
unknown context fails the build. (Standard library only: it runs before anything is installed.)
"""

import shutil
import sys
from pathlib import Path

PACKAGES = ("common", "services", "workers", "infrastructure")
_NOT_IN_IMAGES = shutil.ignore_patterns("tests", "__pycache__", ".env*", "*.md", "Dockerfile")


def select(origin: Path, target: Path, context: str) -> None:
    """Copy it. SystemExit if there is no such context."""
    if not context:
        for package in PACKAGES:
            shutil.copytree(origin / package, target / package, ignore=_NOT_IN_IMAGES)
        return
    if not (origin / "services" / context / "main.py").is_file():
        known = sorted(path.parent.name for path in origin.glob("services/*/main.py"))
        raise SystemExit(f"SERVICE={context}: there is no such service; there are {', '.join(known)}")
    _copy(origin, target, "common")
    for package in ("services", "workers"):
        _copy(origin, target, f"{package}/{context}")
        for path in filter(Path.is_file, (origin / package).iterdir()):
            shutil.copy(path, target / package)
    (target / "infrastructure" / "docker").mkdir(parents=True)
    shutil.copy(origin / "infrastructure" / "docker" / "health.py", target / "infrastructure" / "docker")


def _copy(origin: Path, target: Path, place: str) -> None:
    if (origin / place).is_dir():
        shutil.copytree(origin / place, target / place, ignore=_NOT_IN_IMAGES)


if __name__ == "__main__":
    select(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "")  # noqa: PLR2004
