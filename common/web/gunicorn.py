"""Settings of gunicorn: `gunicorn -c python:common.web.gunicorn 'services.users.main:create_app()'`.

One worker process with threads: a service grows by more instances, which need no shared metrics directory and fail one
by one. Everything a client can make the server hold is bounded, in size and in time, and no thread waits for a client.
The app is made after the fork, so no connection, lock or thread is shared with the master.

This is a configuration file that happens to be a module: importing it reads the environment.
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
# Room for what is admitted, for connections that idle, and for those that are just being refused.
worker_connections = threads + _settings.service_queue + 256
backlog = 1024  # those that come while no instance accepts: during a start, or a restart behind a kept socket
keepalive = (
    75  # seconds; longer than the gateway's, so that the gateway closes first and no request meets a closed door
)
timeout = 30  # seconds without a sign of life from the worker's main loop, not a bound on requests
graceful_timeout = 20  # seconds to finish what is under way after SIGTERM

limit_request_line = MAX_LINE_BYTES
limit_request_fields = MAX_FIELDS
limit_request_field_size = MAX_FIELD_BYTES
forwarder_headers = ""  # no client may choose the environment's SCRIPT_NAME
sendfile = False  # it would wait for the client

control_socket_disable = True
accesslog = None  # the app writes its own line per request
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "common.observability.logs.json_formatter", "service": "gunicorn"}},
    "handlers": {"stdout": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"level": _settings.log_level, "handlers": ["stdout"]},
    "loggers": {"gunicorn.error": {"level": _settings.log_level, "handlers": [], "propagate": True}},
}


def post_worker_init(_worker: Any) -> None:
    """Take what was loaded out of the garbage collector's rounds: it stays for the life of the process."""
    gc.collect()
    gc.freeze()
