"""The office with nothing in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from workers.operations.tests.office import Office

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def office(vhost: str, document_store: str) -> Iterator[Office]:
    made = Office(vhost, document_store)
    yield made
    made.close()
