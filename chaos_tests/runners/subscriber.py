"""A subscriber of the run: P6 is checked by the deliveries to its endpoint.

Only if the system may send to this machine (a local stack); otherwise P6 is not tested. It returns 200 at once and
stores nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from chaos_tests.actions.webhooks import unsubscribe_all
from chaos_tests.runners.drivers.driver import local
from holdfast.target import target_of
from holdfast.webhooks.receiver import receiving
from holdfast.webhooks.subscribing import OF_ORDERS, subscribed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_tests.runners.campaign import RunConfig


@contextmanager
def subscriber(run_config: RunConfig) -> Iterator[None]:
    """Subscribe to orders as the operator while the block runs. Raises `ApiError` and TimeoutError."""
    if run_config.driver != "local":
        yield
        return
    operator = target_of(local(run_config.variables).stack).operator(patient=True)
    with receiving(keeps=False) as receiver, subscribed(operator, receiver, OF_ORDERS):
        try:
            yield
        finally:
            unsubscribe_all(run_config.variables)  # endpoints of experiments were already checked
