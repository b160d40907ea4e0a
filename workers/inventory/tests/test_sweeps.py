"""Inventory's sweeps, one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from common.resilience.sweeps import SweepContext
from services.inventory.tests.test_sweeping import age
from services.inventory.tests.warehouse import add, new_order, place, types
from workers.inventory.sweeps import HELD_SECONDS, SWEEPS

if TYPE_CHECKING:
    from sqlalchemy import Engine

pytestmark = pytest.mark.integration
RUN = {sweep.name: sweep.run for sweep in SWEEPS}


def test_overdue_reservations_are_asked_about_unless_sagas_are_held_up(engine: Engine) -> None:
    add(engine, "A", 5)
    order = new_order()
    place(engine, order, ("A", 1))
    age(engine, order, HELD_SECONDS + 1)
    assert RUN["ask-about-overdue"](engine, SweepContext(lambda: True, lambda: "an outage")) == 0
    assert RUN["ask-about-overdue"](engine, SweepContext(lambda: True, lambda: None)) == 1
    assert types(engine, order) == ["stock.reserved.v1", "reservation.overdue.v1"]
