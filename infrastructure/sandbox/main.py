"""`python -m infrastructure.sandbox.main`: the sandbox as one process in the foreground.

Guarantee: SIGTERM and SIGINT stop it cleanly, after responding to received requests (hangs end at once).
"""

import signal
import sqlite3
import sys
import threading
from pathlib import Path

from common.settings import load
from infrastructure.sandbox.app import Sandbox
from infrastructure.sandbox.logs import log, start_logging
from infrastructure.sandbox.server import Server
from infrastructure.sandbox.settings import Settings
from infrastructure.sandbox.storage import Storage, StorageError

DRAIN_SECONDS = 10.0


def main() -> int:
    """Serve until a signal."""
    settings = load(Settings)
    start_logging(settings.log_level)
    try:
        return serve(settings)
    except (OSError, sqlite3.Error, StorageError) as error:
        log.critical("cannot start", error=str(error))
        return 1


def serve(settings: Settings) -> int:
    """Open the ledger and the port, wait for a signal, drain."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    storage = Storage(Path(settings.sandbox_data))
    server = Server((settings.service_host, settings.service_port), Sandbox(storage, stopping))
    accepting = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="accept")
    accepting.start()
    log.info("serving", host=settings.service_host, port=settings.service_port, directory=settings.sandbox_data)
    stopping.wait()
    server.draining.set()
    server.shutdown()
    drained = server.drain(DRAIN_SECONDS)
    server.server_close()
    if drained:
        storage.close()
    log.info("stopped", drained=drained)
    return 0


if __name__ == "__main__":
    sys.exit(main())
