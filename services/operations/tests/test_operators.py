"""The names of operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.operations import operators

if TYPE_CHECKING:
    from pymongo.database import Database

pytestmark = pytest.mark.integration


def test_the_name_of_the_last_sign_in_is_stored(store: Database[dict[str, Any]]) -> None:
    assert operators.name_of(store, "u1") is None
    for name in ("olga", "olga", "olga@shop.example"):
        operators.remember(store, "u1", name)
    assert operators.name_of(store, "u1") == "olga@shop.example"
    assert operators.name_of(store, "u2") is None
