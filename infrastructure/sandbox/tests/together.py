"""Concurrent calls in threads."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import stripe


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls concurrently; returns each result, or the StripeError that it raised."""
    ready = threading.Barrier(len(calls), timeout=60)

    def run(call: Callable[[], Any]) -> Any:
        ready.wait()
        try:
            return call()
        except stripe.StripeError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls, timeout=120))
