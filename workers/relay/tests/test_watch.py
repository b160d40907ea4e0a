"""What ends the relay process, seen at the function that decides it."""

from __future__ import annotations

import threading

from workers.relay.main import watch


def waiting(stop: threading.Event) -> threading.Thread:
    return threading.Thread(target=stop.wait, args=(30,), name="orders", daemon=True)


def test_a_thread_that_dies_ends_the_others_and_the_process_with_code_1() -> None:
    stop = threading.Event()
    healthy, dying = waiting(stop), threading.Thread(target=lambda: None, name="payments")
    healthy.start()
    dying.start()
    assert watch([healthy, dying], stop) == 1
    assert not healthy.is_alive()


def test_a_request_to_stop_ends_it_with_code_0() -> None:
    stop = threading.Event()
    thread = waiting(stop)
    thread.start()
    threading.Timer(0.1, stop.set).start()
    assert watch([thread], stop) == 0
