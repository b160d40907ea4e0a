"""Keeps SMTP sessions for further mails, and closes those of mails that take too long.

Guarantees: one mail at a time uses a session; it ends with the first mail that fails, after `MAX_MAILS` mails or
`MAX_SECONDS`, when it is idle for `IDLE_SECONDS`, and at shutdown; the session of a late mail is closed.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import smtplib
    from collections.abc import Iterator

MAX_MAILS, MAX_SECONDS = 100, 60.0
IDLE_SECONDS = 5.0
CHECK_SECONDS = 0.5
QUIT_SECONDS = 1.0


@dataclass(eq=False, slots=True)
class Session:
    """`mails` counts those that were sent in it."""

    client: smtplib.SMTP
    mails: int = 0
    began_at: float = field(default_factory=time.monotonic)
    idle_since: float = 0.0

    def can_take_more(self, now: float) -> bool:
        return self.client.sock is not None and self.mails < MAX_MAILS and now < self.began_at + MAX_SECONDS

    def quit(self) -> None:
        """Send QUIT without waiting for the reply."""
        with suppress(OSError, AttributeError):
            self.client.sock.settimeout(QUIT_SECONDS)  # type: ignore[union-attr]
            self.client.putcmd("QUIT")
        self.client.close()


class Sessions:
    """Thread-safe. While a session is open a thread watches them all; without one there is no thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: dict[Session, float] = {}  # the deadline of each session in use
        self._idle: list[Session] = []  # the last used at the end
        self._is_watched = self._is_closed = False

    def take(self) -> Session | None:
        """Return an idle session, if there is one."""
        with self._changed:
            return self._idle.pop() if self._idle else None

    @contextmanager
    def use(self, session: Session, deadline: float) -> Iterator[smtplib.SMTP]:
        """Use the session for one mail until `deadline`; it is kept if the block succeeds."""
        self._begin(session, deadline)
        try:
            yield session.client
        except BaseException:
            self._end(session)
            session.client.close()
            raise
        session.mails += 1
        if not self._end(session, keep_until=deadline):
            session.quit()

    def clear(self) -> None:
        """End idle sessions."""
        with self._changed:
            idle, self._idle = self._idle, []
        for session in idle:
            session.quit()

    def close(self) -> None:
        """Keep no session from now on. Does not wait, so a signal's handler may call it."""
        self._is_closed = True
        with self._changed:
            self._changed.notify()

    def _begin(self, session: Session, deadline: float) -> None:
        with self._changed:
            if not self._is_watched:
                threading.Thread(target=self._watch, name="smtp-sessions", daemon=True).start()
                self._is_watched = True
            self._deadlines[session] = deadline

    def _end(self, session: Session, keep_until: float = 0.0) -> bool:
        """Return whether the session may be kept: a late one may have been closed."""
        now = time.monotonic()
        with self._changed:
            del self._deadlines[session]
            if now >= keep_until or self._is_closed or not session.can_take_more(now):
                return False
            session.idle_since = now
            self._idle.append(session)
            return True

    def _watch(self) -> None:
        while True:
            with self._changed:
                self._is_watched = bool(self._deadlines or self._idle)
                if not self._is_watched:
                    return
                self._changed.wait(CHECK_SECONDS)
                now = time.monotonic()
                for session, deadline in self._deadlines.items():
                    if deadline <= now:
                        _cut(session.client)  # the session is still here, so no other mail uses it
                leaving = [each for each in self._idle if self._is_closed or each.idle_since + IDLE_SECONDS <= now]
                self._idle = [each for each in self._idle if each not in leaving]
            for session in leaving:
                session.quit()


def _cut(client: smtplib.SMTP) -> None:
    """Close the connection, so that a call that waits for the server fails."""
    with suppress(OSError, AttributeError):
        client.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # without one there is nothing to end
