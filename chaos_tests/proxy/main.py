"""`python -m chaos_tests.proxy.main --port 8474`: a TCP proxy with faults on request, by Toxiproxy's HTTP API.

With --config it starts with the proxies of a file, like Toxiproxy: a JSON list of name, listen, upstream, enabled.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import threading
from pathlib import Path

from werkzeug.serving import make_server

from chaos_tests.proxy.api import Proxies, make_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8474)
    parser.add_argument("--config", type=Path, help="JSON file of the initial proxies")
    arguments = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    loop = asyncio.new_event_loop()
    proxies = Proxies(loop)
    for each in json.loads(arguments.config.read_text(encoding="utf-8")) if arguments.config else ():
        name, listen, upstream = each["name"], each["listen"], each["upstream"]
        loop.run_until_complete(proxies.create(name, listen, upstream, enabled=each.get("enabled", True)))
    server = make_server(arguments.host, arguments.port, make_app(proxies), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"listening on {arguments.host}:{arguments.port}", flush=True)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        server.shutdown()


if __name__ == "__main__":
    main()
