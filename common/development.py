"""`python main.py` in a folder of services/ or workers/: loads the `.env` next to it and checks its prerequisites.

Guarantee: a process started by hand runs, or ends with one sentence for each missing prerequisite and the command that
provides it. The environment overrides the file. Only processes started by hand read such a file: gunicorn, `holdfast
up`, containers and tests start modules by name. Not promised: that prerequisites stay available; an outage is handled
as in production.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from common import prerequisites
from common.environment import load, read_env_file
from common.messaging.topology import DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from common.storage.document_migrations import Migrations

T = TypeVar("T")


def prepare(
    file: str, kind: type[T], *, queues: Sequence[str] = (DEAD_LETTERS,), migrations: Migrations | None = None
) -> T:
    """The settings of the main.py `file` if all prerequisites are available; else exits with 1.

    They include these queues, and what the `migrations` of a document store create.
    """
    folder = _Folder(file)
    settings = folder.load(kind)
    sentences = list(
        dict.fromkeys(folder.missing(settings, queues, migrations))
    )  # several databases may be on one server
    for sentence in sentences:
        _say(sentence)
    if sentences:
        raise SystemExit(1)
    return settings


class _Folder:
    """The location of a main.py: its context, and the commands that prepare it."""

    def __init__(self, file: str) -> None:
        self._path = Path(file).resolve().parent
        self.name, self._parent = self._path.name, self._path.parent.name
        is_worker = self._parent == "workers" and (self._path.parents[1] / "services" / self.name).is_dir()
        command = f"holdfast env {'worker-' if is_worker else ''}{self.name} --write"
        self._settings_hint = f"`{command}` writes the addresses and passwords of the local stack into .env"

    def load(self, kind: type[T]) -> T:
        """Read `.env` and the environment, which overrides it."""
        read_env_file(self._path / ".env")
        try:
            return load(kind)
        except SystemExit:
            _say(f"{self._settings_hint}; docs/configuration.md has all of them.")
            raise

    def missing(self, settings: Any, queues: Sequence[str], migrations: Migrations | None) -> Iterator[str]:
        """One sentence for each missing prerequisite that the settings name."""
        for item in fields(settings):
            variable, value = item.metadata["name"], getattr(settings, item.name)
            if variable in {"DATABASE_URL", "DATABASE_URLS", "OUTBOX_DATABASE_URLS"}:
                for context, url in ({self.name: value} if isinstance(value, str) else value).items():
                    yield from prerequisites.relational(context, url, passwords=self._settings_hint)
            elif variable == "MONGODB_URL":
                yield from prerequisites.documents(self.name, value, migrations, passwords=self._settings_hint)
            elif variable == "RABBITMQ_URL":
                yield from prerequisites.broker(value, queues, passwords=self._settings_hint)
            elif variable == "STRIPE_API_BASE":
                yield from prerequisites.provider(value)
            elif variable in {"SERVICE_PORT", "METRICS_PORT"}:
                yield from prerequisites.free_port(variable, value)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201 - for the person who typed the command
