"""`python main.py` in a service's folder: serve its app for development, in one process with threads, without reload.

`python main.py migrate` brings its database up to date. Not for production: no bounds on connections, no graceful stop.
That is `common.web.gunicorn`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

from common.development import migrate, prepare
from common.observability import logs
from common.settings import HttpSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

S = TypeVar("S", bound=HttpSettings)


def serve_by_hand(file: str, kind: type[S], create_app: Callable[[S], Flask]) -> None:
    """What the main.py `file` of a service does when a person runs it."""
    match sys.argv[1:]:
        case []:
            settings = prepare(file, kind)
            serve_for_development(create_app(settings), settings)
        case ["migrate"]:
            migrate(file, kind)
        case _:
            print("usage: python main.py [migrate]", file=sys.stderr)  # noqa: T201 - for the person who typed it
            raise SystemExit(2)


def serve_for_development(app: Flask, settings: HttpSettings) -> None:
    """Serve `app` at the address of `settings` until interrupted."""
    host, port = settings.service_host, settings.service_port
    logs.logger(__name__).info("serving for development", docs=f"http://{host}:{port}/docs")
    app.run(host=host, port=port, threaded=True, use_reloader=False)
