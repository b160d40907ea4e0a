"""A few slots for expensive work, shared fairly between clients.

Guarantee: released slots are assigned round-robin between clients, so a client with many requests does not delay
others. Requests beyond the limits are rejected at once: beyond a client's share with `TooManySignInsError`, beyond the
total with `Unavailable`; no wait is longer than `wait_seconds`.
Not promised: fairness between processes. Each has its own slots.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING

from common.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WAITING = 16
MAX_WAITING_PER_CLIENT = 2


class TooManySignInsError(Rejected):
    """This client has reached its limit of waiting sign-ins."""

    status = 429
    code = "too_many_sign_ins"
    retry_after_seconds = 1


class SlotsTakenError(Unavailable):
    """All slots are in use, and the queue is full."""

    code = TooManySignInsError.code

    def __init__(self) -> None:
        super().__init__("too many passwords are being checked")


class FairSlots:
    """`slots` at a time; safe to share between threads."""

    def __init__(self, slots: int, *, wait_seconds: float) -> None:
        self._lock = Lock()
        self._free = slots
        self._wait_seconds = wait_seconds
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()  # the next client comes first

    @contextmanager
    def slot(self, client: str) -> Iterator[None]:
        """Hold a slot. Raises `TooManySignInsError` and `SlotsTakenError`."""
        turn = self._enter(client)
        if turn is not None and not turn.wait(self._wait_seconds) and self._leave(client, turn):
            raise SlotsTakenError
        try:
            yield
        finally:
            self._release()

    def _enter(self, client: str) -> Event | None:
        """Take a free slot (None), or enter the client's queue."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return None
            queue = self._waiting.get(client)
            if queue is not None and len(queue) >= MAX_WAITING_PER_CLIENT:
                raise TooManySignInsError("you have several sign-ins in progress: wait for them")
            if sum(map(len, self._waiting.values())) >= MAX_WAITING:
                raise SlotsTakenError
            turn = Event()
            self._waiting.setdefault(client, deque()).append(turn)
            return turn

    def _leave(self, client: str, turn: Event) -> bool:
        """Leave the queue; False if the slot was granted concurrently."""
        with self._lock:
            if turn.is_set():
                return False
            queue = self._waiting[client]
            queue.remove(turn)
            if not queue:
                del self._waiting[client]
            return True

    def _release(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            client, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[client] = queue  # to the end of the rotation
            turn.set()
