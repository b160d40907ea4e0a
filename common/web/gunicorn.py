"""Settings of gunicorn: `gunicorn -c python:common.web.gunicorn 'services.users.main:create_app()'`.

One worker process with threads: a service scales by instances, which need no shared metrics directory and fail
independently. Everything that a client can occupy is bounded, in size and in time, and no thread waits for a client.
The app is created after the fork, so no connection, lock or thread is shared with the master. This module is a
configuration file: importing it reads the environment.
"""

from __future__ import annotations

import gc
from typing import Any

from common.settings import HttpSettings, load
from common.web.request_buffer import MAX_FIELD_BYTES, MAX_FIELDS, MAX_LINE_BYTES

_settings = load(HttpSettings)

bind = f"{_settings.service_host}:{_settings.service_port}"
workers = 1
worker_class = "common.web.admission.AdmittingWorker"
threads = _settings.service_threads
# For admitted requests, idle connections, and connections that are being rejected.
worker_connections = threads + _settings.service_queue + 256
backlog = 1024  # connections that arrive while no instance accepts: during a start, or a restart with a kept socket
keepalive = (
    75  # seconds; longer than the gateway's, so that the gateway closes first and no request hits a closed connection
)
timeout = 30  # seconds without a heartbeat of the worker's main loop, not a limit on requests
graceful_timeout = 20  # seconds to finish requests in progress after SIGTERM

limit_request_line = MAX_LINE_BYTES
limit_request_fields = MAX_FIELDS
limit_request_field_size = MAX_FIELD_BYTES
forwarder_headers = ""  # a client must not set the environment's SCRIPT_NAME
sendfile = False  # it would wait for the client

control_socket_disable = True
accesslog = None  # the app logs each request itself
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "common.observability.logs.json_formatter", "service": "gunicorn"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": _settings.log_level, "handlers": ["stdout"]},
    "loggers": {"gunicorn.error": {"level": _settings.log_level, "handlers": [], "propagate": True}},
}


def post_fork(_server: Any, _worker: Any) -> None:
    """Disable garbage collection while the app is loaded, which saves a tenth of the time."""
    gc.disable()


def post_worker_init(_worker: Any) -> None:
    """Exclude loaded objects from garbage collection: they live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.enable()
