"""The live service: `python -m services.live.main`. The only ASGI service: a stream uses no thread."""

from __future__ import annotations

import asyncio
import signal
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI

from common.observability.logs import configure_logging
from common.observability.tracing import configure_tracing
from common.security.jwks import RemoteKeys
from common.security.tokens import Verifier
from common.setting_checks import HTTP_URL, between
from common.settings import DocumentSettings, ListenSettings, ProcessSettings, load, setting
from services.live import api, pages, problems
from services.live.hub import Hub
from services.live.limits import Limits
from services.live.middleware import RequestMiddleware
from services.live.models import Archive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

GRACEFUL_SECONDS = 10
# Connections to MongoDB: the change stream's, the hub's, and those of streams that resume. Another stream waits.
POOL_SIZE = 16
_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class Settings(ProcessSettings, ListenSettings, DocumentSettings):
    """The settings of the live service. `MONGODB_URL` is the archive's database, as the account that reads its
    events.
    """

    jwks_url: str = setting(
        "JWKS_URL", check=HTTP_URL, meaning="Where the users service publishes the keys that verify tokens."
    )
    live_streams: int = setting(
        "LIVE_STREAMS",
        "int",
        default=2000,
        check=between(1, 100_000),
        meaning="Limit of open streams per live process.",
    )
    live_streams_per_caller: int = setting(
        "LIVE_STREAMS_PER_CALLER",
        "int",
        default=20,
        check=between(1, 100_000),
        meaning="Limit of open streams per caller.",
    )
    live_buffer: int = setting(
        "LIVE_BUFFER",
        "int",
        default=256,
        check=between(1, 100_000),
        meaning="Events that may wait for a client; beyond that its stream ends, and it resumes.",
    )
    live_heartbeat_seconds: float = setting(
        "LIVE_HEARTBEAT_SECONDS",
        "float",
        default=15.0,
        check=between(0.05, 60),
        meaning="Longest silence of a stream, in seconds; then it sends a heartbeat.",
    )
    live_send_seconds: float = setting(
        "LIVE_SEND_SECONDS",
        "float",
        default=10.0,
        check=between(0.1, 300),
        meaning="Longest time without a read by a client, in seconds; then it is disconnected.",
    )


def create_app(settings: Settings | None = None, verifier: Verifier | None = None) -> FastAPI:
    """The app; its lifespan connects and follows the archive."""
    settings = settings or load(Settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        archive = Archive(settings.mongodb_url, timeout_seconds=settings.mongodb_timeout_seconds, pool_size=POOL_SIZE)
        hub = Hub(archive)
        app.state.resources = api.Resources(
            archive=archive,
            hub=hub,
            limits=Limits(per_process=settings.live_streams, per_caller=settings.live_streams_per_caller),
            verifier=verifier or Verifier(RemoteKeys(settings.jwks_url)),
            buffer=settings.live_buffer,
            heartbeat_seconds=settings.live_heartbeat_seconds,
            send_seconds=settings.live_send_seconds,
        )
        following = asyncio.create_task(hub.run())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await archive.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    problems.register(app)
    app.include_router(pages.router)
    app.include_router(api.router)
    return app


class Server(uvicorn.Server):
    """Ends the streams on the signal, without waiting: clients resume on another process."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._end_streams()
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM."""
    app = create_app(settings)
    config = uvicorn.Config(
        RequestMiddleware(app),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http="h11",
        ws="none",
        backlog=_BACKLOG,
        timeout_keep_alive=75,  # longer than the gateway's
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    # uvicorn raises the signal again at its end; then it must not kill the process.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: None)
    Server(config, lambda: app.state.resources.hub.end_all("restart")).run(sockets=[_listener(settings)])


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.service_host else socket.AF_INET
    listener = socket.create_server((settings.service_host, settings.service_port), family=family, backlog=_BACKLOG)
    # Accepted connections inherit it: after this time without an acknowledgement the connection is dropped.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(settings.live_send_seconds * 1000))
    return listener


def main(settings: Settings | None = None) -> None:
    settings = settings or load(Settings)
    configure_logging("live", settings.log_level)
    configure_tracing("live", settings)
    serve(settings)


if __name__ == "__main__":
    if not __package__:  # `python main.py` in this folder, not `python -m`
        from common.development import prepare

        main(prepare(__file__, Settings))
    else:
        main()
