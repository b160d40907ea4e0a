"""`python -m infrastructure.sandbox.main`: the sandbox as one process in the foreground.

Guarantee: SIGTERM and SIGINT stop it cleanly, with requests that were read answered first (hangs are let go at once).
"""

import signal
import sqlite3
import sys
import threading

from infrastructure.sandbox.app import Sandbox
from infrastructure.sandbox.logs import log, start_logging
from infrastructure.sandbox.server import Server
from infrastructure.sandbox.settings import Settings, read_settings
from infrastructure.sandbox.storage import Storage, StorageError
from infrastructure.settings import SettingsError

DRAIN_SECONDS = 10.0


def main() -> int:
    """Serve until told to stop."""
    try:
        settings = read_settings()
    except SettingsError as error:
        sys.stderr.write(f"bad setting {error}\n")
        return 2
    start_logging(settings.served.log_level)
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
    storage = Storage(settings.directory)
    server = Server((settings.served.host, settings.served.port), Sandbox(storage, stopping))
    accepting = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="accept")
    accepting.start()
    log.info("serving", host=settings.served.host, port=settings.served.port, directory=str(settings.directory))
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
