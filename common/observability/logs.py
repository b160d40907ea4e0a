"""Logs: one JSON object per line on stdout, joined by `correlation_id` from the HTTP request to the last handler.

Values bound with `structlog.contextvars` (correlation_id, event_id, order_id, ...) appear in every line of that thread
until they are cleared. Lines of other libraries (stdlib logging) have the same form. Secrets are not filtered: do not
log bodies, headers, tokens or URLs with passwords.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor

# Noisy at INFO; Holdfast logs the same more precisely.
_QUIET_LOGGERS = ("werkzeug", "urllib3", "pika", "amqp", "stripe", "alembic.runtime.plugins")


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send all logs of this process to stdout as JSON. Call it once, first; a second call replaces the first."""
    structlog.configure(
        processors=[
            _add_name,
            *_shared(service),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=_StandardOutput,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(json_formatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET_LOGGERS:
        # Keep a higher level that another module has set.
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger(name).level))


def json_formatter(service: str) -> logging.Formatter:
    """The same JSON lines for records of the standard library's logging."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, *_shared(service)[1:]],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
    )


def logger(name: str) -> Any:
    """A structured logger: `_log.info("order placed", items=3)`. Usable before `configure_logging`."""
    return structlog.get_logger(name)


def _shared(service: str) -> list[Processor]:
    def add_service(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = service
        return event

    return [
        structlog.processors.add_log_level,
        structlog.contextvars.merge_contextvars,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
    ]


def _add_name(output: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event["logger"] = output.name
    return event


class _StandardOutput:
    """Writes whole lines, so that threads do not mix them; reads sys.stdout each time, because tests replace it.

    A line that cannot be written (full disk, closed pipe) is lost: logging never fails a request or event.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, message: str) -> None:
        with suppress(OSError):
            sys.stdout.write(message + "\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = fatal = exception = log = msg
