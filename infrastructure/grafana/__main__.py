"""`python -m infrastructure.grafana`: writes the dashboards' JSON next to this file."""

import json
import sys
from pathlib import Path
from typing import Any

from infrastructure.grafana.boards import documents

DIRECTORY = Path(__file__).parent / "dashboards"


def text(document: dict[str, Any]) -> str:
    """Return the JSON text of a dashboard."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write them all, and remove obsolete files."""
    made = documents()
    for name, document in made.items():
        (DIRECTORY / name).write_text(text(document), encoding="utf-8")
    for file in DIRECTORY.glob("*.json"):
        if file.name not in made:
            file.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
