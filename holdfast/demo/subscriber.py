"""The shop's other system in the demonstration: a receiver of webhooks on this machine."""

from __future__ import annotations

import queue
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import requests

from holdfast.client import ApiError
from holdfast.webhooks.receiver import receiving
from holdfast.webhooks.subscribing import OF_ORDERS, subscribed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.target import Target
    from holdfast.webhooks.receiver import Receiver, Webhook

ARRIVAL_SECONDS = 30.0


@dataclass
class Subscriber:
    """The received webhooks, verified or not. `refusal`: why none can arrive (the system may be unable to reach this
    machine).
    """

    receiver: Receiver
    refusal: str = ""
    received: list[Webhook] = field(default_factory=list)

    def collect(self) -> list[Webhook]:
        """All received webhooks; waits a while for the first one."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not self.refusal:
            try:
                self.received.append(self.receiver.received.get(timeout=0.5))
            except queue.Empty:
                if self.received or time.monotonic() > deadline:
                    break
        return self.received

    @property
    def is_served(self) -> bool:
        """Whether webhooks arrived and all were verified; True for a system that may not reach this machine."""
        return bool(self.refusal) or (bool(self.received) and not any(each.problem for each in self.received))


@contextmanager
def subscriber(target: Target) -> Iterator[Subscriber]:
    """Subscribe to orders as the operator while the block runs."""
    with ExitStack() as stack:
        found = Subscriber(stack.enter_context(receiving()))
        try:
            stack.enter_context(subscribed(target.operator(patient=True), found.receiver, OF_ORDERS))
        except ApiError as error:
            if error.status != requests.codes.unprocessable:
                raise
            found.refusal = str(error)
        yield found
