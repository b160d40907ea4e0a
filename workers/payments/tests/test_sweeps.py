"""Payments' sweeps, one run at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from common.resilience.sweeps import SweepContext
from common.storage.postgresql import autocommit
from services.payments.tests.builders import new_order, place, published_types, reserve, status_of
from services.payments.tests.provider_hooks import Crash, crash, interrupted
from services.payments.tests.test_sweeping import age
from workers.payments.sweeps import IDLE_SECONDS, QUIET_SECONDS, SWEEPS

if TYPE_CHECKING:
    from services.payments.resources import Resources

pytestmark = pytest.mark.integration
RUN = {sweep.name: sweep.run for sweep in SWEEPS}
RUNNING = SweepContext(lambda: True, lambda: None)


def test_overdue_payments_are_asked_about_unless_sagas_are_held_up(resources: Resources) -> None:
    order = new_order()
    place(resources, order)
    age(resources.engine, order, QUIET_SECONDS + 1)
    assert RUN["ask-about-overdue"](resources, SweepContext(lambda: True, lambda: "an outage")) == 0
    assert RUN["ask-about-overdue"](resources, RUNNING) == 1
    assert published_types(resources.engine, order) == ["overdue"]


def test_unsettled_payments_are_settled_after_a_while_and_a_stop_ends_the_run(resources: Resources) -> None:
    order = new_order()
    place(resources, order)
    with pytest.raises(Crash):
        reserve(interrupted(resources, after_confirm=crash), order)
    assert RUN["settle"](resources, RUNNING) == 0
    with autocommit(resources.engine) as connection:
        left = text("UPDATE payments SET updated_at = updated_at - make_interval(secs => :s)")
        connection.execute(left, {"s": IDLE_SECONDS + 1})
    RUN["settle"](resources, SweepContext(lambda: False, lambda: None))
    assert status_of(resources.engine, order) == "pending"
    assert RUN["settle"](resources, RUNNING) == 1
    assert status_of(resources.engine, order) == "captured"
