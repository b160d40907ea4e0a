"""`python -m infrastructure.kubernetes.tests.render_all DIRECTORY`: each overlay as one file, for checkov."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from infrastructure.kubernetes.tests.overlays import OVERLAYS, rendered


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for overlay in OVERLAYS:
        text = yaml.safe_dump_all(rendered(overlay), sort_keys=False)
        (directory / f"{overlay}.yaml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
