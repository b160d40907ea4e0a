"""The fixtures `world` (a broker with the topology, a database, workers), and `box` and `reader` of an outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.outboxes import Outbox, QueueReader
from common.tests.worker_process import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrastructure.local.sharing import Servers


@pytest.fixture
def world(vhost: str, database: Callable[[], str], servers: Servers) -> Iterator[World]:
    made = World(vhost, database(), servers.postgres_admin_url)
    yield made
    made.close()


@pytest.fixture
def box(database: Callable[[], str]) -> Iterator[Outbox]:
    made = Outbox(database())
    yield made
    made.close()


@pytest.fixture
def reader(vhost: str) -> Iterator[QueueReader]:
    with QueueReader(vhost) as listening:
        yield listening
