"""The bounded contexts, one package each: its service, its use cases, its tables."""

from pathlib import Path

# Every route of every Flask service, one per line, written by `python -m docs.configuration`.
ROUTES_FILE = Path(__file__).with_name("routes.txt")
