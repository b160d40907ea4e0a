"""A connection's two sides over a pair of real sockets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from common.web.buffered_connection import MAX_REPLY_BYTES, BufferedSocket
from common.web.request_buffer import RequestBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[BufferedSocket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(60)
    with ours, theirs:
        yield BufferedSocket(ours, RequestBuffer()), theirs


def test_what_does_not_fit_is_sent_later_and_in_order(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    pieces = [bytes([number]) * 50_000 for number in range(100)]
    for piece in pieces:
        ours.sendall(piece)
    assert not ours.flush()
    assert ours.unsent_bytes > 0
    received = b""
    while len(received) < 5_000_000:
        received += theirs.recv(1 << 20)
        ours.flush()
    assert received == b"".join(pieces)
    assert (ours.flush(), ours.unsent_bytes) == (True, 0)


def test_the_head_of_a_reply_goes_with_its_body(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    for _ in range(2):
        ours.sendall(b"head")
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.recv(100)
        ours.sendall(b"body")
        assert theirs.recv(100) == b"headbody"
        ours.sendall(b"more")
        assert theirs.recv(100) == b"more", "what is made piece by piece is sent piece by piece"
        assert ours.flush()


def test_a_reply_without_a_body_is_sent_by_the_flush(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    ours.sendall(b"head")
    ours.sendall(b"")
    assert ours.flush()
    assert theirs.recv(100) == b"head"


def test_a_reply_is_bounded(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, _ = pair
    half = b"x" * (MAX_REPLY_BYTES // 2 + 1)
    ours.sendall(half)
    with pytest.raises(OSError, match="too long"):
        ours.sendall(half)


def test_a_disconnected_client_is_detected(pair: tuple[BufferedSocket, socket.socket]) -> None:
    ours, theirs = pair
    theirs.close()
    ours.sendall(b"head")
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"body")
