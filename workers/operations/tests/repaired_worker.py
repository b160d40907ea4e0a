"""The kit's sample worker with a bug that a test can repair."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import text

from common.messaging.celery_worker import run_worker
from common.observability.logs import configure_logging
from common.settings import load
from common.storage.postgresql import make_engine, ping, transaction
from common.tests.sample_worker import Settings, succeed

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from common.messaging.inbox import Delivery


class BugError(ValueError):
    """The error of the bug."""


def fail_until_repaired(delivery: Delivery, engine: Engine) -> None:
    with transaction(engine) as connection:
        if connection.execute(text("SELECT 1 FROM switches")).first() is None:
            raise BugError("nobody thought of this")
    succeed(delivery, engine)


HANDLERS = {"sample.fine.v1": fail_until_repaired}


def main() -> None:
    settings = load(Settings)
    configure_logging("sample", settings.log_level)
    engine = make_engine(settings.database_url, pool_size=6, timeout_seconds=5, name="sample")
    run_worker("sample", HANDLERS, engine, settings, probes={"postgres": partial(ping, engine)})


if __name__ == "__main__":
    main()
