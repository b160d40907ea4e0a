"""A few slots for work that costs much, shared fairly between clients.

Guarantee: a slot that is released goes to the client whose turn it is, in rotation, so a client that asks often waits
behind itself and not in front of others. What does not fit is refused at once: one client's own share with
`TooManySignInsError`, the whole with `Unavailable`; nobody waits longer than `wait_seconds`.
Not promised: fairness between processes. Each has slots of its own.
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
    """This client waits for as many sign-ins as it may."""

    status = 429
    code = "too_many_sign_ins"
    retry_after_seconds = 1


class SlotsTakenError(Unavailable):
    """All slots are in use, and as many wait for them as may."""

    code = TooManySignInsError.code

    def __init__(self) -> None:
        super().__init__("too many passwords are being checked")


class FairSlots:
    """`slots` at a time; safe to share between threads."""

    def __init__(self, slots: int, *, wait_seconds: float) -> None:
        self._lock = Lock()
        self._free = slots
        self._wait_seconds = wait_seconds
        self._waiting: OrderedDict[str, deque[Event]] = OrderedDict()  # the client whose turn is next comes first

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
        """Take a free slot (None), or a place in the client's queue."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return None
            queue = self._waiting.get(client)
            if queue is not None and len(queue) >= MAX_WAITING_PER_CLIENT:
                raise TooManySignInsError("you have several sign-ins under way: wait for them")
            if sum(map(len, self._waiting.values())) >= MAX_WAITING:
                raise SlotsTakenError
            turn = Event()
            self._waiting.setdefault(client, deque()).append(turn)
            return turn

    def _leave(self, client: str, turn: Event) -> bool:
        """Give the place in the queue up; False if the slot was granted at the last moment."""
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
                self._waiting[client] = queue  # behind all others
            turn.set()
