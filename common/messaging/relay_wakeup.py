"""Wakes the relay as soon as an event is committed. It is only a hint: the outbox row is authoritative.

A writer sends PostgreSQL's NOTIFY after its commit, in a separate transaction, from a thread that sends one for all
commits since the last. The relay listens on the connection with which it reads the outbox. A lost notification only
delays the event until the relay's next poll.

NOTIFY in the business transaction would hold a server-wide lock until its commit is on disk, so writers would commit
one after another. A separate asynchronous commit holds that lock for some microseconds.
Source: https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize, ref

import structlog
from sqlalchemy import event

from common.storage.postgresql import autocommit

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

CHANNEL = "holdfast_outbox"
GAP_SECONDS = 0.002  # the relay keeps polling as long as it finds rows
AFTER_FAILURE_SECONDS = 1.0
_WRITTEN, _LISTENS = "holdfast_outbox_written", "holdfast_outbox_listens"
# One round trip and one transaction. It writes no data: a server crash loses only a hint.
_NOTIFY = f"SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}"
_LISTEN, _UNLISTEN = f"LISTEN {CHANNEL}", f"UNLISTEN {CHANNEL}"
_log = structlog.get_logger(__name__)


def wake_relay_after(connection: Connection) -> None:
    """Wake the relay when this connection, which wrote an event, returns to the pool: after its transaction has
    ended.
    """
    _waker_of(connection.engine)
    connection.info[_WRITTEN] = True


class Waker:
    """Sends notifications to one engine's database. Calls during a send are merged into one more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = ref(engine)
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        event.listen(engine, "checkin", self._given_back)
        finalize(engine, self._due.set)

    def wake(self) -> None:
        """Return at once; errors are logged, and the relay's next poll finds the event."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="wake-relay", daemon=True)
                    self._thread.start()
        self._due.set()

    def _given_back(self, _connection: object, record: Any) -> None:
        if record.info.pop(_WRITTEN, False):
            self.wake()

    def _run(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if (engine := self._engine()) is None:
                return
            time.sleep(GAP_SECONDS if _notify(engine) else AFTER_FAILURE_SECONDS)
            del engine


class Listener:
    """Receives the notifications of a database. Its engine must have one connection and no other user."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Any = None

    def listen(self) -> None:
        """Subscribe to notifications. Call it again after a reconnection. Raises errors of the database."""
        with autocommit(self._engine) as connection:
            if not connection.info.get(_LISTENS):
                connection.exec_driver_sql(_LISTEN)
                connection.info[_LISTENS] = True
            self._connection = connection.connection.dbapi_connection

    def stop(self) -> None:
        """Unsubscribe. Raises errors of the database."""
        if self._connection is None:
            return
        self._connection = None
        with autocommit(self._engine) as connection:
            if connection.info.pop(_LISTENS, False):
                connection.exec_driver_sql(_UNLISTEN)

    def take(self) -> bool:
        """Whether a notification was received since the last call. Unread ones in the socket do not count."""
        if self._connection is None or not self._connection.notifies:
            return False
        self._connection.notifies.clear()
        return True

    @property
    def socket(self) -> int | None:
        """The socket, readable on a notification or a disconnect; None without a subscription."""
        return None if self._connection is None or self._connection.closed else int(self._connection.fileno())


def _notify(engine: Engine) -> bool:
    try:
        with autocommit(engine) as connection:
            connection.exec_driver_sql(_NOTIFY)
    except Exception as error:  # noqa: BLE001 - the commit is durable and the relay polls
        _log.info("could not wake the relay", error=repr(error))
        return False
    return True


_wakers: WeakKeyDictionary[Engine, Waker] = WeakKeyDictionary()
_lock = threading.Lock()


def _waker_of(engine: Engine) -> Waker:
    with _lock:
        if (waker := _wakers.get(engine)) is None:
            waker = _wakers[engine] = Waker(engine)
        return waker
