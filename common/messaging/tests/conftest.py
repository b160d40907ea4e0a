"""The fixture `world`: a broker with the topology, a database, and workers on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.worker_process import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infrastructure.local.sharing import Servers


@pytest.fixture
def world(vhost: str, database: Callable[[], str], servers: Servers) -> Iterator[World]:
    made = World(vhost, database(), servers.postgres_admin_url)
    yield made
    made.close()
