"""A webhook receiver that misbehaves on request: it refuses connections, responds late, or fails every second time.

It runs in the process of the run. It verifies every webhook before it answers 200 (`verified`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Mapping

DEAD, LATE, FLAPPING = "dead", "late", "flapping"


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """`late` responds after `seconds`; `dead` refuses connections; `flapping` returns 500 to every second request."""

    kind: str
    seconds: float = 0.0


class FaultyReceiver:
    """One address, reserved while no server listens there."""

    def __init__(self) -> None:
        self._server: _Server | None = _Server(0)
        self.url, self._port = self._server.url, self._server.port
        self._secret = ""
        self.verified: set[str] = set()
        self.forged = 0
        self._server.owner = self
        self._server.start()
        self.misbehaviour: Misbehaviour | None = None
        self.requests = 0

    @property
    def secret(self) -> str:
        return self._secret

    @secret.setter
    def secret(self, value: str) -> None:
        self._secret = value
        if self._server is not None:
            self._server.secret = value

    def misbehave(self, how: Misbehaviour) -> None:
        self.misbehaviour = how
        if how.kind == DEAD:
            self.stop()

    def behave(self) -> None:
        """Respond normally again; idempotent."""
        self.misbehaviour = None
        if self._server is None:
            self._server = _Server(self._port)
            self._server.owner, self._server.secret = self, self._secret
            self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


class _Server(Receiver):
    owner: FaultyReceiver

    def __init__(self, port: int) -> None:
        super().__init__(port, keeps=False)

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        owner = self.owner
        owner.requests += 1
        how = owner.misbehaviour
        if how and how.kind == DEAD:  # on a kept-alive connection
            raise ConnectionAbortedError("nobody is here")
        if how and how.kind == LATE:
            time.sleep(how.seconds)
        if how and how.kind == FLAPPING and owner.requests % 2:
            return 500
        status = super().take(headers, body)
        if status == 200:
            owner.verified.add(headers["webhook-id"])
        owner.forged += status == 401
        return status
