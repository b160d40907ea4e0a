"""How a process of several threads ends."""

from __future__ import annotations

import threading

from common.resilience.threads import run_until


def waiting(stop: threading.Event) -> threading.Thread:
    return threading.Thread(target=stop.wait, args=(60,), name="orders", daemon=True)


def test_a_thread_that_dies_ends_the_others_and_the_process_with_code_1() -> None:
    stop = threading.Event()
    healthy, dying = waiting(stop), threading.Thread(target=lambda: None, name="payments")
    assert run_until(stop, [healthy, dying], stop_seconds=30) == 1
    assert not healthy.is_alive()


def test_a_request_to_stop_ends_it_with_code_0() -> None:
    stop = threading.Event()
    thread = waiting(stop)
    threading.Timer(0.1, stop.set).start()
    assert run_until(stop, [thread], stop_seconds=30) == 0
