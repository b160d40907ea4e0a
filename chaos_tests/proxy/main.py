"""`python -m chaos_tests.proxy.main --port 8474`: a TCP proxy with faults on request, by Toxiproxy's HTTP API."""

from __future__ import annotations

import argparse
import asyncio
import logging
import threading

from werkzeug.serving import make_server

from chaos_tests.proxy.api import Proxies, make_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8474)
    wanted = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    server = make_server(wanted.host, wanted.port, make_app(Proxies(loop)), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on {wanted.host}:{wanted.port}", flush=True)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
