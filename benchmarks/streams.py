"""The cost of open event streams for live: `python -m benchmarks.streams --url URL --pid PID --token TOKEN`.

Opens streams of all orders, one after the other, waits until each has begun, and prints the resident memory and the
threads of the process before and after. Natively: `LIVE_STREAMS_PER_CALLER=2000 holdfast up`, then URL and PID from
`holdfast status --json` (service-live), TOKEN from `holdfast token`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import click


def figures(pid: int) -> tuple[float, int]:
    """Resident memory in MB, and threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines())
    return int(status["VmRSS"].split()[0]) / 1024, int(status["Threads"])


async def open_stream(url: str, token: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    request = f"GET /api/v1/orders/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    writer.write(request.encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise click.ClickException(head.decode())
    await reader.readuntil(b"id: ")
    return reader, writer


async def measure(url: str, pid: int, token: str, streams: int) -> None:
    opened = [await open_stream(url, token)]  # the first stream's one-time cost does not count
    before, threads_before = figures(pid)
    opened += [await open_stream(url, token) for _ in range(streams - 1)]
    await asyncio.sleep(2)
    after, threads_after = figures(pid)
    print(f"1 stream: {before:.1f} MB, {threads_before} threads")
    print(f"{streams} streams: {after:.1f} MB, {threads_after} threads")
    print(f"each: {(after - before) * 1024 / (streams - 1):.1f} kB")
    for _, writer in opened:
        writer.close()


@click.command()
@click.option("--url", required=True, help="The live service.")
@click.option("--pid", required=True, type=int, help="The process id of live.")
@click.option("--token", required=True, help="A bearer token.")
@click.option("--streams", default=1000, show_default=True)
def main(url: str, pid: int, token: str, streams: int) -> None:
    """Print the cost of open streams."""
    asyncio.run(measure(url, pid, token, streams))


if __name__ == "__main__":
    main()
