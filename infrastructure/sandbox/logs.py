"""JSON lines on standard output, one per request or notable event.

It does not log bodies: they contain no secrets here, but a provider's log would not contain them.
"""

import logging
import sys

import structlog


def start_logging(level: str) -> None:
    """Send every log line of this process to standard output as one JSON object."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )


log: structlog.typing.FilteringBoundLogger = structlog.get_logger("sandbox")
