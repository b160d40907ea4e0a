"""`python -m infrastructure.gateway DIRECTORY`: write nginx.conf and the page of services for containers.

Guarantee: both files are complete, or the command fails. It does not start nginx: `nginx -c DIRECTORY/nginx.conf` does.
The native stack writes its own configuration.
"""

from pathlib import Path

import click

from infrastructure.gateway.render import GatewaySettings, nginx_configuration, write_pages
from infrastructure.gateway.routes import SERVICES


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path))
@click.option("--port", default=8080, show_default=True, type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option(
    "--upstream", default="service-{}:8000", show_default=True, help="Address of a service; {} is its context."
)
@click.option("--state", default="/tmp", show_default=True, help="Directory for nginx's temporary files.")  # noqa: S108 - a volume of its own
@click.option("--trusted-proxy", "trusted", multiple=True, help="Network of trusted proxies.")
def main(directory: Path, port: int, upstream: str, state: str, trusted: tuple[str, ...]) -> None:
    """Write the gateway's configuration for containers into DIRECTORY."""
    page = directory / "docs.html"
    settings = GatewaySettings(
        listen_address="0.0.0.0",  # noqa: S104 - a container has its own address
        listen_port=port,
        upstreams={context: upstream.replace("{}", context) for context in SERVICES},
        state_directory=state,
        docs_page=str(page),
        trusted_proxies=trusted,
    )
    try:
        configuration = nginx_configuration(settings)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    write_pages(settings, lambda path, text: path.write_text(text, encoding="utf-8"))
    (directory / "nginx.conf").write_text(configuration, encoding="utf-8")


if __name__ == "__main__":
    main()
