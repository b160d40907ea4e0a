"""Send archived events to Kafka again: `python -m workers.bridge.backfill [POSITION]` (all, or those after it).

Guarantee: when it exits with 0 the request is stored; the running bridge restarts there within a second, also after a
crash. Consumers get these events a second time and detect duplicates by `id`.
"""

from __future__ import annotations

import sys

from common.settings import load
from common.storage.mongodb import connect
from workers.bridge.main import Settings
from workers.bridge.storage import Positions


def main(arguments: list[str]) -> int:
    """Record the request."""
    if len(arguments) > 1 or not all(each.isascii() and each.isdigit() for each in arguments):
        sys.stderr.write("usage: python -m workers.bridge.backfill [POSITION]\n")
        return 2
    settings = load(Settings)
    client = connect(settings.mongodb_url, timeout_seconds=10, name="bridge-backfill", pool_size=1).client
    Positions(client.get_database(settings.bridge_database)).request_backfill(int(arguments[0]) if arguments else 0)
    client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
