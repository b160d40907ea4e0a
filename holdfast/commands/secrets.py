"""holdfast secrets: the file `.env` that compose reads, with strong secrets in it."""

from pathlib import Path

import click

from infrastructure.docker.secret_file import EXAMPLE, write


@click.command()
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(".env"),
    show_default=True,
    help="The file to write.",
)
def secrets(file: Path) -> None:
    """Write .env for `docker compose`: the settings of .env.example, and a random value for every secret.

    Existing values are kept, so it may be run again, for example after an upgrade. Only the owner can read the file.

    Exit codes: 0 the file is complete; 1 it could not be written.
    """
    if not EXAMPLE.exists():
        raise click.ClickException("there is no .env.example here: run it from a checkout of the repository")
    try:
        made = write(file)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    for name in made:
        click.echo(f"made {name}")
    click.echo(f"{file} is complete. Next: docker compose up --build -d")
