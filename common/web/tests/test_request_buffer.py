"""When a request is complete, compared with gunicorn's parser, for any arrival of its bytes."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.asgi.parser import ParseError
from gunicorn.config import Config
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from common.web import gunicorn as gunicorn_settings
from common.web.request_buffer import (
    MAX_BODY_BYTES,
    BodyTooLargeError,
    HeadTooLargeError,
    IncompleteRequestError,
    RequestBuffer,
)

CONFIG = Config()
for name in ("limit_request_line", "limit_request_fields", "limit_request_field_size", "forwarder_headers"):
    CONFIG.set(name, getattr(gunicorn_settings, name))
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"
)
BARE = b"GET / HTTP/1.0\r\n\r\n"
WHOLE = [GET, POST, CHUNKED, BARE, b"\r\n" + GET]


class Source:
    """What gunicorn's parser takes for a socket."""

    def __init__(self, buffer: RequestBuffer) -> None:
        self.buffer = buffer

    def recv(self, size: int) -> bytes:
        return self.buffer.read(size)


def parsed(buffer: RequestBuffer) -> tuple[str, bytes, bytes]:
    """The method, the body, and what the parser read beyond the request."""
    parser: Any = RequestParser(CONFIG, Source(buffer), ("127.0.0.1", 1))
    request = next(parser)
    return request.method, request.body.read(), parser.unreader.take_buffered()


def filled(*pieces: bytes) -> RequestBuffer:
    buffer = RequestBuffer()
    for piece in pieces:
        buffer.add(piece)
    return buffer


def cut(text: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize("text", WHOLE)
def test_a_request_is_ready_with_its_last_byte_and_not_before(text: bytes) -> None:
    buffer = RequestBuffer()
    for at, byte in enumerate(text):
        assert not buffer.is_ready, text[:at]
        buffer.add(bytes([byte]))
    assert (buffer.is_ready, buffer.error) == (True, None)
    assert parsed(buffer)[1] in (b"", b"hello")


@given(st.sampled_from(WHOLE), st.sampled_from([*WHOLE, b"", b"\r\n", b"GET /"]), st.lists(st.integers(0, 1000)))
def test_what_follows_a_request_is_the_next_one(first: bytes, second: bytes, places: list[int]) -> None:
    buffer = filled(*cut(first + second, places))
    assert buffer.is_ready
    buffer.start_next(parsed(buffer)[2])
    assert buffer.is_ready == (second in WHOLE)
    assert buffer.is_idle == (second in (b"", b"\r\n"))
    if second in WHOLE:
        assert parsed(buffer) == parsed(filled(second))


LINES = [
    b"Host: x",
    b"Content-Length: 5",
    b"Content-Length: 3",
    b"content-length:7",
    b"Content-Length:",
    b"Content-Length: +5",
    b"Content-Length: 5,5",
    b"Content-Length: \xb2",
    b" Content-Length: 9",
    b"X: a\nContent-Length: 5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding : chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: identity",
    b"Expect: 100-continue",
    b"Expect: tea",
    b"Connection: close",
]
BODIES = [
    b"",
    b"hello",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"2\r\nhe\r\n\r\n",
    b"x\r\n",
    b"0\r\n\r\n",
    b"-1\r\n",
    b"5\nhello\n0\n\n",
]
STARTS = [
    b"GET / HTTP/1.1",
    b"POST / HTTP/1.0",
    b"POST / HTTP/1.1",
    b"GET /",
    b"\r\nGET / HTTP/1.1",
    b"get / HTTP/1.1",
    b"\n",
]


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(LINES), max_size=4, unique_by=lambda line: line.split(b":")[0].lower()),
    st.lists(st.sampled_from(BODIES), max_size=3),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_no_request_waits_that_the_parser_could_answer(
    start: bytes, lines: list[bytes], bodies: list[bytes], places: list[int]
) -> None:
    """It gets what it can read; and what it gets without an error, it can read or refuse."""
    text = b"\r\n".join([start, *lines, b"", b"".join(bodies)])
    buffer, at_once = filled(*cut(text, places)), filled(text)
    assert buffer.is_ready == at_once.is_ready
    error, outcome = buffer.error, outcome_of(buffer)
    if outcome_of(at_once) == "read":
        assert at_once.is_ready
        assert (error, outcome) == (None, "read")
    if at_once.is_ready and error is None:
        assert outcome != "incomplete"


def outcome_of(buffer: RequestBuffer) -> str:
    try:
        parsed(buffer)
    except IncompleteRequestError:
        return "incomplete"
    except (ParseException, ParseError):
        return "refused"
    return "read"


@pytest.mark.parametrize("line", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Expect: 100-continue"])
def test_framing_headers_may_occur_only_once(line: bytes) -> None:
    assert filled(b"POST / HTTP/1.1\r\n" + (line + b"\r\n") * 2 + b"\r\n").error is not None


@pytest.mark.parametrize("length", [MAX_BODY_BYTES + 2, 10**17])
def test_a_body_that_is_too_long_is_not_waited_for(length: int) -> None:
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    assert isinstance(filled(head % length).error, BodyTooLargeError)
    assert not filled(head % (MAX_BODY_BYTES + 1)).is_ready


def test_a_body_in_chunks_is_bounded_in_what_it_says_and_in_how() -> None:
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert isinstance(filled(head, b"10002\r\n", b"x" * 0x10002).error, BodyTooLargeError)
    small = b"1;" + b"a" * 8000 + b"\r\nx\r\n"
    assert isinstance(filled(head, *[small] * 40).error, BodyTooLargeError)


def test_a_head_is_bounded() -> None:
    lines = (b"X%d: %s\r\n" % (number, b"a" * 10_000) for number in range(14))
    assert isinstance(filled(b"GET / HTTP/1.1\r\n", *lines).error, HeadTooLargeError)


def test_an_expectation_is_met_once_and_only_while_the_body_is_missing() -> None:
    head = b"POST / HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 5\r\n\r\n"
    buffer = filled(head)
    assert [buffer.take_expectation(), buffer.take_expectation()] == [True, False]
    assert not filled(head + b"hello").take_expectation()
    assert not filled(head.replace(b"1.1", b"1.0")).take_expectation(), "HTTP/1.0 knows no such answer"


def test_the_start_of_the_head_is_kept_for_the_answer() -> None:
    assert filled(b"GET /a HT").start_of_head() == b"GET /a HT"
    buffer = filled(POST)
    parsed(buffer)
    assert buffer.start_of_head() == POST[:-5]
