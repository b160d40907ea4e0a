"""`python -m infrastructure.prometheus`: writes the configuration, or runs Prometheus for a native stack."""

import os
import shutil
from pathlib import Path

import click

from infrastructure.local.errors import StackError
from infrastructure.local.home import DEFAULT_HOME, existing_home
from infrastructure.local.urls import HOST
from infrastructure.prometheus.program import find
from infrastructure.prometheus.scrape import HERE, RULES, configuration, containers, kubernetes_rules, native

CONTAINERS_FILE = HERE / "prometheus.yml"
KUBERNETES_FILE = HERE.parent / "kubernetes" / "components" / "monitoring" / "rules.yaml"
_SECONDS = 15
_NATIVE_SECONDS = 5


@click.group()
def main() -> None:
    """Prometheus for Holdfast: scrape configuration, rules and alerts."""


@main.command()
def files() -> None:
    """Write the files of the repository: prometheus.yml for containers, and the rules for Kubernetes."""
    text = configuration(containers(), by_name=True, interval_seconds=_SECONDS)
    CONTAINERS_FILE.write_text(text, encoding="utf-8")
    KUBERNETES_FILE.write_text(kubernetes_rules(), encoding="utf-8")
    click.echo(f"{CONTAINERS_FILE}\n{KUBERNETES_FILE}")


@main.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_HOME, show_default=True)
def write(directory: Path, home: Path) -> None:
    """Write prometheus.yml and the rules for a native stack into DIRECTORY."""
    click.echo(_write(directory, home))


@main.command()
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_HOME, show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=9090, show_default=True)
def run(home: Path, port: int) -> None:
    """Run Prometheus for a native stack until it is interrupted; its data is in the stack's home.

    The program is the system's, or Debian's package, downloaded. The downloaded one has no web pages: query it at
    /api/v1/query, or with Grafana.
    """
    file = _write(home / "prometheus", home)
    try:
        program = find("prometheus")
    except StackError as error:
        raise click.ClickException(f"{error}\nBy hand: sudo apt-get install prometheus") from error
    words = [
        str(program),
        f"--config.file={file}",
        f"--storage.tsdb.path={file.parent / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    ]
    click.echo(f"http://{HOST}:{port}")
    os.execv(program, words)


def _write(directory: Path, home: Path) -> Path:
    stack = existing_home(home)
    if stack is None:
        raise click.ClickException(f"no stack was ever started in {home}")
    directory.mkdir(parents=True, exist_ok=True)
    for name in RULES:
        shutil.copyfile(HERE / name, directory / name)
    file = directory / "prometheus.yml"
    text = configuration(native(HOST, stack.port_base), by_name=False, interval_seconds=_NATIVE_SECONDS)
    file.write_text(text, encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
