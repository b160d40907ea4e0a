"""The operations worker with an empty store and empty queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workers.operations.tests.worker_process import OperationsWorker

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def operations_worker(vhost: str, document_store: str) -> Iterator[OperationsWorker]:
    made = OperationsWorker(vhost, document_store)
    yield made
    made.close()
