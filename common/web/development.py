"""`python services/<context>/main.py`: serve an app for development, with reload-free, single-process threads.

Not for production: no bounds on connections, no graceful stop. That is `common.web.gunicorn`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.observability import logs

if TYPE_CHECKING:
    from flask import Flask

    from common.settings import HttpSettings


def serve_for_development(app: Flask, settings: HttpSettings) -> None:
    """Serve `app` at the address of `settings` until interrupted."""
    host, port = settings.service_host, settings.service_port
    logs.logger(__name__).info("serving for development", docs=f"http://{host}:{port}/docs")
    app.run(host=host, port=port, threaded=True, use_reloader=False)
