"""`python main.py` in a service's folder: serves its app for development, in one process with threads, without reload.

Not for production: no limits on connections, no graceful stop; use `common.web.gunicorn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from common.development import prepare
from common.observability import logs
from common.settings import HttpSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from common.storage.document_migrations import Migrations

S = TypeVar("S", bound=HttpSettings)


def serve_by_hand(
    file: str, kind: type[S], create_app: Callable[[S], Flask], *, migrations: Migrations | None = None
) -> None:
    """The entry point of a service's main.py `file` when it is started by hand."""
    settings = prepare(file, kind, migrations=migrations)
    serve_for_development(create_app(settings), settings)


def serve_for_development(app: Flask, settings: HttpSettings) -> None:
    """Serve `app` at the address of `settings` until interrupted."""
    host, port = settings.service_host, settings.service_port
    logs.logger(__name__).info("serving for development", docs=f"http://{host}:{port}/docs")
    app.run(host=host, port=port, threaded=True, use_reloader=False)
