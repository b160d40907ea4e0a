"""A client of the live service that reads events in a thread, and resumes with `Last-Event-ID` whenever a stream ends.

It records the id of every received event with its count, and the number of connections.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CONNECT_SECONDS, SILENCE_SECONDS, PAUSE_SECONDS = 3.0, 20.0, 0.2


class EventStream:
    """Reads from `start` to `stop`. `token` returns a bearer token whenever a new one is needed."""

    def __init__(self, url: str, token: Callable[[], str]) -> None:
        self._url, self._token = url, token
        self._bearer = ""
        self._last_id: str | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._reply: requests.Response | None = None
        self.connected = threading.Event()
        self.connections = 0
        self.refused = Counter[int]()  # by status
        self.shown = Counter[str]()  # by event id

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join(SILENCE_SECONDS + CONNECT_SECONDS)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._connect()
            except (requests.RequestException, ValueError):  # cut in the middle: an incomplete frame is sent again
                self.connected.clear()
            self._ending.wait(PAUSE_SECONDS)

    def _connect(self) -> None:
        self._bearer = self._bearer or self._token()
        headers = {"Authorization": f"Bearer {self._bearer}"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        seconds = (CONNECT_SECONDS, SILENCE_SECONDS)
        with requests.get(self._url, headers=headers, stream=True, timeout=seconds) as reply:
            if reply.status_code == requests.codes.unauthorized:
                self._bearer = ""
            if not reply.ok:
                self.refused[reply.status_code] += 1
                return
            self.connections += 1
            reply.encoding = "utf-8"
            self._read(reply.iter_lines(chunk_size=None, decode_unicode=True))

    def _read(self, lines: Iterable[str]) -> None:
        """Parse complete frames: an id counts when the empty line after it has arrived."""
        frame: dict[str, str] = {}
        for line in lines:
            if line:
                name, _, value = line.partition(": ")
                frame[name] = value
                continue
            if "data" in frame and frame.get("event") != "end":
                self.shown[json.loads(frame["data"])["id"]] += 1
            if "id" in frame:
                self._last_id = frame["id"]
                self.connected.set()
            frame = {}
            if self._ending.is_set():
                return
