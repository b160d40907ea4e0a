"""The gateway as one client sees it. Every response is returned; no status raises an error."""

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import requests

SECONDS = 30


class Api:
    """Calls with the token of one caller, or with none. Not for several threads at once."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def send(
        self, method: str, path: str, *, key: str | None = None, headers: dict[str, Any] | None = None, **options: Any
    ) -> requests.Response:
        """Send with the Idempotency-Key `key`; `options` are those of requests."""
        given = {**({"Idempotency-Key": key} if key is not None else {}), **(headers or {})}
        return self._session.request(method, f"{self.url}{path}", headers=given, timeout=SECONDS, **options)

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
    """Send a path byte for byte, which requests would normalise; returns status, headers and body."""
    with closing(HTTPConnection(url.removeprefix("http://"), timeout=SECONDS)) as connection:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, dict(reply.headers), reply.read()


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
