"""Keys fetched from a real server that comes, goes, rotates and hangs."""

from __future__ import annotations

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import Unauthenticated, Unavailable
from common.security import jwks
from common.security.jwks import RemoteKeys, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _jwk(kid: str) -> dict[str, Any]:
    raw = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}


class KeyServer:
    """Serves `body`; counts how often it was asked; waits `delay` seconds first."""

    def __init__(self) -> None:
        self.body = json.dumps({"keys": [_jwk("one")]}).encode()
        self.status = 200
        self.request_count = 0
        self.delay = 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.request_count += 1
                time.sleep(server.delay)
                self.send_response(server.status)
                self.send_header("Content-Length", str(len(server.body)))
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=60)


TIMEOUT_SECONDS = jwks._TIMEOUT_SECONDS


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyServer]:
    """No bound is reached and no pause ends because a thread has its turn late."""
    monkeypatch.setattr(jwks, "_TIMEOUT_SECONDS", (60.0, 60.0))
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 200.0)
    monkeypatch.setattr(jwks, "FAILURE_SECONDS", 200.0)
    running = KeyServer()
    yield running
    running.stop()


@pytest.fixture
def end_pause(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on the keys may be asked for again."""

    def end() -> None:
        monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 0.0)
        monkeypatch.setattr(jwks, "FAILURE_SECONDS", 0.0)

    return end


def test_keys_are_fetched_when_first_needed_and_then_kept(server: KeyServer) -> None:
    keys = RemoteKeys(server.url)
    assert server.request_count == 0
    assert keys.key("one") is keys.key("one")
    assert server.request_count == 1


def test_many_threads_fetch_once(server: KeyServer) -> None:
    server.delay = 0.2
    keys = RemoteKeys(server.url)
    threads = [threading.Thread(target=keys.key, args=("one",)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert server.request_count == 1


def test_an_unknown_key_asks_again_but_not_all_the_time(server: KeyServer, end_pause: Callable[[], None]) -> None:
    keys = RemoteKeys(server.url)
    keys.key("one")
    for _ in range(10):
        with pytest.raises(Unauthenticated) as caught:
            keys.key("two")
        assert caught.value.code == "invalid_token"
    assert server.request_count == 1
    server.body = json.dumps({"keys": [_jwk("one"), _jwk("two")]}).encode()
    end_pause()
    assert keys.key("two")
    assert server.request_count == 2


def test_known_keys_serve_on_while_the_server_is_gone(server: KeyServer, end_pause: Callable[[], None]) -> None:
    keys = RemoteKeys(server.url)
    known = keys.key("one")
    server.stop()
    end_pause()
    with pytest.raises(Unavailable):
        keys.key("two")  # nobody can say whether it is new or forged
    assert keys.key("one") is known


def test_old_keys_are_renewed_in_the_background(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = RemoteKeys(server.url)
    first = keys.key("one")
    server.body = json.dumps({"keys": [_jwk("one")]}).encode()
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 0.0)
    deadline = time.monotonic() + 60
    while keys.key("one") is first and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keys.key("one") is not first


def test_while_old_keys_cannot_be_renewed_it_is_not_tried_for_every_request(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = RemoteKeys(server.url)
    keys.key("one")
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0.0)
    tries: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: tries.append(thread))  # noqa: PLW0108 - a bound one is no method
    for _ in range(20):
        keys.key("one")
    assert tries == []  # the last one was less than UNKNOWN_KEY_SECONDS ago
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 0.0)
    keys.key("one")
    assert len(tries) == 1


def test_a_process_that_never_had_a_key_says_unavailable_and_recovers(
    server: KeyServer, end_pause: Callable[[], None]
) -> None:
    server.status = 500
    keys = RemoteKeys(server.url)
    for _ in range(20):
        with pytest.raises(Unavailable):
            keys.key("one")
    assert server.request_count == 1
    server.status = 200
    end_pause()
    assert keys.key("one")


def test_a_server_that_hangs_is_not_waited_for_long(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "_TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    server.delay = 100
    started = time.monotonic()
    with pytest.raises(Unavailable):
        RemoteKeys(server.url).key("one")
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1, {"kty": "RSA"}]}', b"x" * 100_000]
)
def test_a_malformed_key_set_changes_nothing(server: KeyServer, end_pause: Callable[[], None], body: bytes) -> None:
    keys = RemoteKeys(server.url)
    known = keys.key("one")
    server.body = body
    end_pause()
    with pytest.raises(Unavailable):
        keys.key("two")
    assert keys.key("one") is known


def test_redirects_are_not_followed(server: KeyServer) -> None:
    server.status = 302
    with pytest.raises(Unavailable):
        RemoteKeys(server.url).key("one")
    assert server.request_count == 1


@pytest.mark.parametrize("jwk", [{}, {"x": "!!"}, {"x": "YWJj"}, {"x": 5}])
def test_a_broken_key_is_an_error_of_the_set(jwk: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever the library says
        parse({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k"} | jwk]})
