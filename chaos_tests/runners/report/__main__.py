"""`python -m chaos_tests.runners.report --run DIR`: writes report.html and report.json in the run's directory.

It reads history.jsonl, verdict.json and, if they exist, snapshot.jsonl and meta.json: a JSON object with `command`,
`seed`, `started_at`, `versions` and further facts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from chaos_tests.runners.checker import snapshot as snapshots
from chaos_tests.runners.history import read
from chaos_tests.runners.report.page import document, render
from chaos_tests.runners.report.series import count


@click.command()
@click.option("--run", "directory", type=click.Path(file_okay=False, exists=True, path_type=Path), required=True)
def main(directory: Path) -> None:
    """Create the report of one run."""
    click.echo(write(directory))


def write(directory: Path) -> Path:
    """Create the report; returns the path of the page. Raises `OSError` and `ValueError` for missing or torn files."""
    history, snapshot = directory / "history.jsonl", directory / "snapshot.jsonl"
    known = snapshots.load(snapshot) if snapshot.exists() else None
    run = next((record for record in read(history) if record["kind"] == "run"), {})
    series = count(read(history), known)
    verdict = json.loads((directory / "verdict.json").read_text())
    versions = dict(known.versions) if known else {}
    meta = _workload(run) | {"versions": versions} | _meta(directory / "meta.json")
    page = directory / "report.html"
    page.write_text(render(verdict, series, meta))
    (directory / "report.json").write_text(json.dumps(document(verdict, series, meta)) + "\n")
    return page


def _workload(run: dict[str, Any]) -> dict[str, Any]:
    reported = {name: run.get(name) for name in ("seed", "clients", "rate", "wall")}
    return {name: value for name, value in reported.items() if value is not None}


def _meta(path: Path) -> dict[str, Any]:
    known = json.loads(path.read_text()) if path.exists() else {}
    return known if isinstance(known, dict) else {}


if __name__ == "__main__":
    main()
