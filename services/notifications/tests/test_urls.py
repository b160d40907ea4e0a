"""The allowed URLs of an endpoint."""

from __future__ import annotations

import pytest

from common.web.public_addresses import parse_networks
from services.notifications.urls import host_and_port, problem_of

LOOPBACK = parse_networks("127.0.0.0/8")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://shop.example/", "http://shop.example/", "//shop.example/", "shop.example", "", "https://"),
        *("https://user:secret@shop.example/", "https://user@shop.example/", "https://@shop.example/"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest"),
        *("https://[64:ff9b::7f00:1]/", "https://[fe80::1%25eth0]/", "https://0.0.0.0/"),
        *("https://shop.example:0/", "https://shop.example:99999/", "https://shop.example:x/", "https://[::1/"),
        *("https://shop.example/#part", "https://sh op.example/", "https://shop.example/\n", "https://\x00/"),
        *(f"https://{'a' * 10_000}.example/", f"https://{'a.' * 200}example/", "https://a..example/"),
        *("https://caf\u00e9.example/", "javascript:alert(1)", "file:///etc/passwd", "https:shop.example"),
    ],
)
def test_a_url_that_is_not_public_https_is_rejected(url: str) -> None:
    assert problem_of(url, [])


@pytest.mark.parametrize(
    "url", ["https://shop.example/webhooks?a=1", "https://shop.example:8443", "https://93.184.216.34/x"]
)
def test_a_public_https_url_is_accepted(url: str) -> None:
    assert problem_of(url, []) is None


def test_http_is_accepted_only_for_allowed_networks() -> None:
    assert problem_of("http://127.0.0.1:9999/x", LOOPBACK) is None
    assert problem_of("http://localhost:9999/x", LOOPBACK) is None
    assert problem_of("http://10.0.0.1/x", LOOPBACK)


def test_the_host_and_port_of_a_url_are_parsed() -> None:
    assert host_and_port("https://shop.example/x") == ("shop.example", 443)
    assert host_and_port("http://127.0.0.1:9/x") == ("127.0.0.1", 9)
