"""Buffers the bytes of a connection until a request is complete; the parser reads from this buffer.

This module only decides *when* a thread gets a request: when its last byte has arrived, or when it will certainly be
rejected. gunicorn's own parser interprets the request; it reads from here and never from the socket. If the two
disagree, the client gets a 400 and no thread waits. Every size is bounded.
"""

from __future__ import annotations

import re

from gunicorn.asgi.parser import ParseError, PythonProtocol

MAX_BODY_BYTES = 64 * 1024
MAX_LINE_BYTES = 4094
MAX_FIELDS = 60
MAX_FIELD_BYTES = 16_384  # a very long header gets a problem document, not a bare 431 of the server
# The app reads one byte more than it accepts, to detect that a chunked body is too long.
_READABLE_BODY_BYTES = MAX_BODY_BYTES + 1
_MAX_HEAD_BYTES = 128 * 1024
# A chunked body, with its sizes and extensions.
_MAX_CHUNKED_BYTES = 4 * MAX_BODY_BYTES
_LINE_END = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_BARE_LINE_FEED = re.compile(rb"[^\r]\n")
_FRAMING = re.compile(rb"(?i)\r\n(content-length|transfer-encoding|expect):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_HTTP_11 = re.compile(rb"(?:\r\n)?[^\r\n]* HTTP/1\.1\r\n")


class IncompleteRequestError(Exception):
    """The parser reads beyond the buffer: it expects a later end of the request."""


class BodyTooLargeError(Exception):
    """The body exceeds the limit of every service."""


class HeadTooLargeError(Exception):
    """The request line and the headers exceed the limit of every service."""


class RequestBuffer:
    """Used by one thread at a time: by the main loop until `is_ready`, then by the thread that serves the request."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.start_next(b"")

    def start_next(self, rest: bytes) -> None:
        """Drop the served request; `rest` is what the parser had read beyond it."""
        self._data[:0] = rest
        self.head = b""
        self.is_ready = False
        self.error: Exception | None = None
        self._scanned = 0
        self._needed = 0
        self._chunks: PythonProtocol | None = None
        self._payload_bytes = 0
        self._expects_continue = False
        self._scan()

    def add(self, data: bytes) -> None:
        """Add received bytes."""
        self._data += data
        if not self.is_ready:
            self._scan()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, at least one. Raises `error`, or `IncompleteRequestError`, if there are none."""
        data = bytes(self._data[:size])
        if not data:
            raise self.error or IncompleteRequestError
        del self._data[:size]
        return data

    @property
    def is_idle(self) -> bool:
        """Whether no request has begun. One empty line may precede a request (RFC 9112, section 2.2)."""
        return len(self._data) <= len(_LINE_END) and _LINE_END.startswith(self._data)

    @property
    def size(self) -> int:
        return len(self._data)

    def take_expectation(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body. True once."""
        expects, self._expects_continue = self._expects_continue, False
        return expects and not self.is_ready

    def start_of_head(self) -> bytes:
        """The head, or the received part of it; for the response to a request that was not parsed."""
        return self.head or bytes(self._data[:_MAX_HEAD_BYTES])

    def _scan(self) -> None:
        if not self.head:
            self._scan_head()
        elif self._chunks is not None:
            self._scan_chunks(self._chunks, bytes(self._data[self._scanned :]))
        else:
            self.is_ready = len(self._data) >= self._needed

    def _scan_head(self) -> None:
        end = self._data.find(_HEAD_END, max(0, self._scanned - 3))
        stop = end + len(_HEAD_END) if end >= 0 else len(self._data)
        if _BARE_LINE_FEED.search(self._data, max(0, self._scanned - 1), stop) or self._data[:1] == b"\n":
            self._refuse(IncompleteRequestError())  # no parser accepts it, and it may never end
        elif stop > _MAX_HEAD_BYTES:
            self._refuse(HeadTooLargeError())
        elif end >= 0:
            self.head = bytes(self._data[:stop])
            self._scan_framing()
        self._scanned = len(self._data)

    def _scan_framing(self) -> None:
        found = _FRAMING.findall(self.head)
        fields = {name.lower(): value for name, value in found}
        expects, length = fields.get(b"expect"), fields.get(b"content-length")
        is_odd = len(fields) < len(found) or (expects is not None and expects.lower() != b"100-continue")
        if is_odd or (length is not None and not _LENGTH.fullmatch(length)):
            self._refuse(IncompleteRequestError())
        elif b"transfer-encoding" in fields:
            self._chunks = PythonProtocol(on_body=self._count, limit_request_field_size=MAX_FIELD_BYTES)
            self._scan_chunks(self._chunks, bytes(self._data))
        elif int(length or 0) > _READABLE_BODY_BYTES:
            self._refuse(BodyTooLargeError())
        else:
            self._needed = len(self.head) + int(length or 0)
            self.is_ready = len(self._data) >= self._needed
        self._expects_continue = expects is not None and _HTTP_11.match(self.head) is not None

    def _scan_chunks(self, chunks: PythonProtocol, data: bytes) -> None:
        try:
            chunks.feed(data)
        except ParseError as error:
            self._refuse(error)
            return
        self._scanned = len(self._data)
        self.is_ready = chunks.is_complete
        if self._payload_bytes > _READABLE_BODY_BYTES or self._scanned - len(self.head) > _MAX_CHUNKED_BYTES:
            self._refuse(BodyTooLargeError())

    def _count(self, payload: bytes) -> None:
        self._payload_bytes += len(payload)

    def _refuse(self, error: Exception) -> None:
        """Let a thread respond at once; the parser may still find a better reason."""
        self.error, self.is_ready = error, True
