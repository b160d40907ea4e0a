"""nginx's configuration and the page of services, rendered for one installation.

Host names are parameters, so the native stack, containers and others use the same template.
"""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infrastructure.gateway.event_tables import events
from infrastructure.gateway.problems import PROBLEMS
from infrastructure.gateway.routes import CONSOLE, REPEATABLE, ROUTES, SERVICES, STREAMING

EVENTS_PAGE, ASYNCAPI = "events.html", "asyncapi.json"
# gunicorn accepts a request line of 4,094 bytes: method, path and version.
_URI_BYTES = 4000
# Characters that would end a quoted string of the configuration, or begin a variable.
_UNQUOTABLE = frozenset('"\\$\n')


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits per client address, and concurrent requests per service; further requests are rejected at once."""

    connections: int = 1024
    requests_per_second: int = 5000
    requests_burst: int = 5000
    requests_per_service: int = 1024


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The parameters of an installation.

    `upstreams` has `host:port` for each service; `run_as` is set when root starts nginx, whose workers would otherwise
    change to an account that cannot access `state_directory`. `trusted_proxies` are the networks of proxies whose
    X-Forwarded-For is trusted; others are ignored.
    """

    listen_address: str
    listen_port: int
    upstreams: dict[str, str]
    state_directory: str
    docs_page: str
    access_log: str = "/dev/stdout"
    run_as: str = ""
    limits: Limits = Limits()
    trusted_proxies: tuple[str, ...] = ()


def nginx_configuration(settings: GatewaySettings) -> str:
    """Return nginx.conf; ValueError if it cannot contain a path."""
    for path in (settings.state_directory, settings.docs_page, settings.access_log):
        if _UNQUOTABLE.intersection(path):
            raise ValueError(f"nginx cannot use the path {path!r}")
    if missing := {name for _, name in ROUTES} - settings.upstreams.keys():
        raise ValueError(f"no upstream for {', '.join(sorted(missing))}")
    directory = Path(settings.docs_page).parent
    pages = [
        ("/docs", settings.docs_page, _policy(docs_page())),
        ("/docs/events", str(directory / EVENTS_PAGE), _policy(events_page())),
    ]
    return _templates().get_template("nginx.conf.j2").render(
        listen=f"{settings.listen_address}:{settings.listen_port}",
        listen_port=settings.listen_port,
        upstreams=settings.upstreams,
        routes=ROUTES,
        repeatable=REPEATABLE,
        console=CONSOLE,
        unavailable_page=unavailable_page(),
        unavailable_policy=_policy(unavailable_page()),
        streaming=STREAMING,
        limits=settings.limits,
        problems=PROBLEMS,
        uri_bytes=_URI_BYTES,
        state_directory=settings.state_directory,
        pages=pages,
        asyncapi=str(directory / ASYNCAPI),
        access_log=settings.access_log,
        run_as=settings.run_as,
        trusted_proxies=[str(ip_network(network)) for network in settings.trusted_proxies],
    )  # fmt: skip


def write_pages(settings: GatewaySettings, write: Callable[[Path, str], object]) -> None:
    """Write the files that the gateway serves itself: the pages, and the AsyncAPI document."""
    page = Path(settings.docs_page)
    write(page, docs_page())
    write(page.with_name(EVENTS_PAGE), events_page())
    write(page.with_name(ASYNCAPI), _asyncapi())


def events_page() -> str:
    """Return the page of every event: its publisher, consumers, fields and an example."""
    whole = json.loads(_asyncapi())
    return _templates(autoescape=True).get_template("events.html.j2").render(info=whole["info"], events=events(whole))


def unavailable_page() -> str:
    """Return the page that replaces the console while its service is down, with two of nginx's variables."""
    page = _templates().get_template("console_away.html.j2").render(service=CONSOLE)
    if "'" in page or "\\" in page:
        raise ValueError("nginx could not quote the page")
    return page


def _asyncapi() -> str:
    return (Path(__file__).parent / ASYNCAPI).read_text(encoding="utf-8")


def docs_page() -> str:
    """Return the page with links to each service's own page."""
    return _templates().get_template("docs.html.j2").render(services=SERVICES)


def _policy(page: str) -> str:
    """Return the content security policy of the page: only its own style, no scripts."""
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _templates(*, autoescape: bool = False) -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=autoescape,  # noqa: S701 - a configuration file, and a page without input
        trim_blocks=True,
        keep_trailing_newline=True,
    )
