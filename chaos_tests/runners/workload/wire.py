"""HTTP/1.1 as the workload needs it: one kept connection, JSON in and out, and certainty about what was never sent.

Small on purpose: the load generator shares the processors with what it tests. It promises no redirects, no TLS and no
pipelining. The caller sets a time-out (`asyncio.timeout`); a connection that was interrupted is not used again.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 2.0
LIMIT_BYTES = 1_048_576


class NotSentError(Exception):
    """There was no connection, so nothing of the request can have arrived."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object; `ValueError` for anything else."""
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 - whatever it is, it is a wrong value
        return document


class Connection:
    """One connection to the server of `url`, opened when needed and again when it was closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(
        self, method: str, path: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """One request and its reply. Raises `NotSentError`, `OSError`, `EOFError`, `ValueError` (malformed)."""
        reader, writer = await self._open()
        self._streams = None  # closed unless the request succeeds
        try:
            writer.write(self._request(method, path, body, headers or {}))
            await writer.drain()
            reply = await _reply(reader)
        except BaseException:
            writer.transport.abort()
            raise
        if reply.headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._streams = reader, writer
        return reply

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and not self._streams[0].at_eof():
            return self._streams
        self.close()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_connection(self._host, self._port, limit=LIMIT_BYTES)
        except (OSError, TimeoutError) as error:
            raise NotSentError(repr(error)) from error

    def _request(self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]) -> bytes:
        content = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


async def _reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in head[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in fields}
    status = int(head[0].split()[1]) if head[0].startswith("HTTP/1.") else _nonsense(head[0])
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        headers["connection"] = "close"
        body = b"" if status in {204, 304} else await reader.read(-1)
    return Reply(status, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _nonsense(line: str) -> int:
    message = f"not HTTP: {line[:60]!r}"
    raise ValueError(message)
