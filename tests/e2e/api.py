"""The gateway as one client sees it. Every response is returned; no status raises an error."""

import time
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import requests

SECONDS = 60
PATIENCE_SECONDS = 60.0


class Api:
    """Calls with the token of one caller, or with none. Not for several threads at once.

    A request that gets a 503 is repeated for `patience_seconds`: the services wait about a second for a server, and on
    a busy machine it may take longer.
    """

    def __init__(self, url: str, token: str | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.url = url
        self._token, self._patience_seconds = token, patience_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def impatient(self) -> "Api":
        """The same caller, for tests of outages: every 503 is returned."""
        return Api(self.url, self._token, patience_seconds=0)

    def send(
        self, method: str, path: str, *, key: str | None = None, headers: dict[str, Any] | None = None, **options: Any
    ) -> requests.Response:
        """Send with the Idempotency-Key `key`; `options` are those of requests."""
        given = {**({"Idempotency-Key": key} if key is not None else {}), **(headers or {})}
        deadline = time.monotonic() + self._patience_seconds
        while True:
            reply = self._session.request(method, f"{self.url}{path}", headers=given, timeout=SECONDS, **options)
            if reply.status_code != 503 or time.monotonic() >= deadline:
                return reply
            time.sleep(int(reply.headers["Retry-After"]))

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.send("GET", path, params=query)

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> requests.Response:
        return self.send("POST", path, json={} if body is None else body, key=key)

    def patch(self, path: str, body: Any) -> requests.Response:
        return self.send("PATCH", path, json=body)

    def delete(self, path: str) -> requests.Response:
        return self.send("DELETE", path)

    def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every item of a list whose cursor is `id`."""
        items: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = answer(self.get(path, limit=100, **query, **more))
            items += page["data"]
            if not page["has_more"]:
                return items
            more = {"starting_after": items[-1]["id"]}


def as_written(url: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    """Send a path byte for byte, which requests would normalise; returns status, headers and body.

    A 503 is repeated as by `Api`.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with closing(HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)) as connection:
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            body = reply.read()
        if reply.status != 503 or time.monotonic() >= deadline:
            return reply.status, dict(reply.headers), body
        time.sleep(int(reply.headers["Retry-After"]))


def answer(reply: requests.Response, status: int = 200) -> Any:
    """The reply's JSON; fails unless it has this status and its own request id."""
    assert reply.status_code == status, (reply.status_code, reply.text)
    assert reply.headers["Request-Id"]
    assert reply.headers["Content-Type"] == "application/json"
    return reply.json()


def problem(reply: requests.Response) -> tuple[int, str]:
    """Status and code of a reply; fails unless it is a complete problem document (RFC 9457)."""
    assert reply.headers["Content-Type"] == "application/problem+json", (reply.status_code, reply.text[:300])
    document = reply.json()
    assert document["status"] == reply.status_code
    assert document["type"] == f"urn:holdfast:problem:{document['code']}"
    assert document["title"]
    assert document["detail"]
    assert document["instance"].startswith("/")
    assert document["request_id"] == reply.headers["Request-Id"]
    return reply.status_code, document["code"]
