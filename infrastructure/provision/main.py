"""A one-shot job for servers in containers: `python -m infrastructure.provision.main postgres|rabbitmq|mongodb`.

Guarantee: it exits with 0 when that server's accounts match the description; with 1, and the reason, if the server does
not answer or refuses within `WAIT_SECONDS`. It reads the administrator's credentials and the passwords from the
environment. MongoDB's must run on the server's own machine (in its network), see mongodb.py.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg2
import requests
from pymongo.errors import PyMongoError

from common.settings import load
from infrastructure.provision import mongodb, postgres, rabbitmq
from infrastructure.provision.settings import MongodbSettings, PostgresSettings, RabbitmqSettings

WAIT_SECONDS = 90.0
_PAUSE_SECONDS = 1.0
_AWAY = (psycopg2.OperationalError, requests.RequestException, PyMongoError, TimeoutError)


def main(arguments: list[str]) -> int:
    """Run the job that the one argument names."""
    jobs = {"postgres": _postgres, "rabbitmq": _rabbitmq, "mongodb": _mongodb}
    if len(arguments) != 1 or arguments[0] not in jobs:
        _complain(f"usage: {Path(__file__).name} {'|'.join(jobs)}")
        return 2
    return _done(jobs[arguments[0]]())


def _done(job: Callable[[], None]) -> int:
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            job()
        except _AWAY as error:
            if time.monotonic() > deadline:
                _complain(f"not within {WAIT_SECONDS:.0f} s: {error}")
                return 1
            time.sleep(_PAUSE_SECONDS)
        else:
            return 0


def _postgres() -> Callable[[], None]:
    settings = load(PostgresSettings)
    return lambda: postgres.provision(settings.postgres_administrator_url, settings.account_passwords)


def _rabbitmq() -> Callable[[], None]:
    settings = load(RabbitmqSettings)
    return lambda: rabbitmq.provision(settings.rabbitmq_administrator_url.rstrip("/"), settings.account_passwords)


def _mongodb() -> Callable[[], None]:
    settings = load(MongodbSettings)
    member, password = settings.mongodb_member, settings.mongodb_administrator_password
    port = int(member.rpartition(":")[2])
    return lambda: mongodb.provision("127.0.0.1", port, member, password, settings.account_passwords)


def _complain(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
