"""Write a new context into a checkout.

Guarantee: all texts are computed before the first file is written, and an error while writing, or in one of the
generators that run afterwards, restores every file.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from holdfast.new_service.deployment import CONNECTIONS, FILES, folder_files, with_connections, with_copies
from holdfast.new_service.events import read_events
from holdfast.new_service.names import check_name, check_resource
from holdfast.new_service.ports import free_offsets
from holdfast.new_service.rendering import render_files
from holdfast.new_service.tables import add_line, table_lines
from infrastructure.local.errors import StackError

if TYPE_CHECKING:
    from pathlib import Path

# The length of a name affects line breaks, and the order of imports.
_TIDYING = (("ruff", "check", "--quiet", "--select", "I", "--fix"), ("ruff", "format", "--quiet"))
_GENERATORS = (
    ("docs.configuration",),
    ("docs.asyncapi",),
    ("infrastructure.docker.write_dockerfiles",),
    ("infrastructure.prometheus", "files"),
)
_GENERATED = (
    "docs/configuration.md",
    "docs/asyncapi.yaml",
    "services/routes.txt",
    "infrastructure/gateway/asyncapi.json",
    "infrastructure/prometheus/prometheus.yml",
    "infrastructure/kubernetes/components/monitoring/rules.yaml",
    "services/*/.env.example",
    "workers/*/.env.example",
    "services/*/Dockerfile",
)
_SECONDS = 120


def plan(root: Path, name: str, resource: str, listens: tuple[str, ...]) -> dict[str, str]:
    """Return the new text of each file, by its path. StackError if the context cannot be created."""
    check_name(name, root)
    check_resource(resource)
    events = read_events(root, listens)
    service_port, worker_port = free_offsets()
    texts = {file: with_copies(_read(root, file), separator, name) for file, separator in FILES.items()}
    for file, more in CONNECTIONS.items():
        texts[file] = with_connections(texts.get(file) or _read(root, file), more)
    for line in table_lines(name, resource, service_port, worker_port):
        texts[line.file] = add_line(texts.get(line.file) or _read(root, line.file), line)
    return texts | folder_files(root, name) | render_files(name, resource, events, service_port)


def changed_files(root: Path, files: list[str]) -> list[str]:
    """Return the files that differ from the last commit; none without a git repository."""
    try:
        done = _run(root, ["git", "status", "--porcelain", "--", *files])
    except FileNotFoundError:
        return []
    return [line[3:] for line in done.stdout.splitlines()]


def write(root: Path, texts: dict[str, str]) -> list[str]:
    """Write the files, then the generated ones; return the changed paths. StackError: nothing changed."""
    generated = {str(path.relative_to(root)) for pattern in _GENERATED for path in root.glob(pattern)}
    before = {place: _bytes(root / place) for place in (*texts, *generated)}
    folders = [folder for place in texts for folder in (root / place).parents if not folder.exists()]
    try:
        for place, text in texts.items():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / place).write_text(text, encoding="utf-8")
        python = [place for place in texts if place.endswith(".py")]
        for words in (*((*tidying, *python) for tidying in _TIDYING), *_GENERATORS):
            _generate(root, words)
    except BaseException:
        _restore(root, before, folders)
        raise
    generated |= {str(path.relative_to(root)) for pattern in _GENERATED for path in root.glob(pattern)}
    return sorted(place for place in {*texts, *generated} if _bytes(root / place) != before.get(place))


def _generate(root: Path, words: tuple[str, ...]) -> None:
    done = _run(root, [sys.executable, "-m", *words])
    if done.returncode != 0:
        raise StackError(
            f"`python -m {' '.join(words[:2])}` failed (is `make setup` done?): {done.stderr.strip()[-500:]}"
        )


def _run(root: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command without a shell. StackError after a time-out."""
    try:
        return subprocess.run(  # noqa: S603 - words of ours, and a name that was checked
            command, cwd=root, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"`{' '.join(command[:4])}` takes longer than {_SECONDS} s"
        raise StackError(message) from None


def _restore(root: Path, before: dict[str, bytes | None], folders: list[Path]) -> None:
    for place, content in before.items():
        if content is None:
            (root / place).unlink(missing_ok=True)
        else:
            (root / place).write_bytes(content)
    for folder in sorted(set(folders), reverse=True):  # the deepest first
        for path in sorted(folder.rglob("*"), reverse=True) if folder.exists() else ():  # created by a generator
            path.rmdir() if path.is_dir() else path.unlink()
        if folder.exists():
            folder.rmdir()


def _read(root: Path, place: str) -> str:
    return (root / place).read_text(encoding="utf-8")


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
