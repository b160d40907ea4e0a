"""holdfast new: scaffolding."""

import click

from holdfast.new_service.writing import changed_files, plan, write
from infrastructure.local.home import REPOSITORY


@click.group()
def new() -> None:
    """Generate code in this checkout."""


@new.command()
@click.argument("name")
@click.option("--listens", multiple=True, required=True, metavar="EVENT", help="An event it handles; may be repeated.")
@click.option("--resource", help="The resource at /api/v1/RESOURCE, and the name of its table.  [default: NAME]")
def service(name: str, listens: tuple[str, ...], resource: str | None) -> None:
    """Generate a new context: service, worker, database, tests and deployment entries.

    NAME is in lower-case letters, like `loyalty`. The generated code records each event that it listens to once; extend
    it from there. docs/tutorial.md shows how.

    Exit codes: 0 written; 1 nothing was changed (the text says why); 2 usage error.
    """
    texts = plan(REPOSITORY, name, resource or name, listens)
    if dirty := changed_files(REPOSITORY, list(texts)):
        raise click.ClickException(f"commit or stash first: {', '.join(dirty)}")
    for place in write(REPOSITORY, texts):
        click.echo(f"wrote {place}")
    click.echo(
        f"\nNext: pytest services/{name} workers/{name}; then docs/tutorial.md, or `holdfast up` with the new service."
    )
