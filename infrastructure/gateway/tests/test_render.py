"""nginx's configuration for different installations, and values that it cannot contain."""

from typing import Any

import pytest

from infrastructure.gateway.render import GatewaySettings, docs_page, nginx_configuration
from infrastructure.gateway.routes import SERVICES


def settings(**also: Any) -> GatewaySettings:
    upstreams = {name: f"{name}:8000" for name in SERVICES}
    words: dict[str, Any] = {"listen_address": "0.0.0.0", "listen_port": 80, "upstreams": upstreams}
    return GatewaySettings(**{**words, "state_directory": "/tmp/x", "docs_page": "/srv/docs.html", **also})


def test_host_names_come_from_the_caller() -> None:
    text = nginx_configuration(settings())
    assert text.count("server orders:8000 max_fails=0 ") == 2
    assert "listen 0.0.0.0:80 default_server" in text
    assert "127.0.0.1:80/readyz/" in text
    assert "<h1>Holdfast</h1>" in docs_page()


def test_unquotable_paths_are_rejected() -> None:
    with pytest.raises(ValueError, match="cannot use the path"):
        nginx_configuration(settings(state_directory='/tmp/"; load_module x'))
    with pytest.raises(ValueError, match="no upstream for archive"):
        nginx_configuration(settings(upstreams={name: "x:1" for name in SERVICES if name != "archive"}))
