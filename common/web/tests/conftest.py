"""The sample service on a real gunicorn, started once: it takes a second and a half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.tests.served import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """It has no setting of its own, and no test stops it."""
    running = Server()
    yield running
    running.stop()
