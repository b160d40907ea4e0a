"""Which proxies are trusted about a client's address: the rule, and a real service process with it."""

from __future__ import annotations

import http.client
import json
from ipaddress import ip_network

import pytest

from common.tests.served import Server
from common.web.client_address import find_client

TRUSTED = [ip_network(text) for text in ("10.0.0.0/8", "127.0.0.0/8", "fd00::/8", "::1/128")]
PROXY, CLIENT = "10.0.0.1", "192.0.2.1"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        (CLIENT, "", CLIENT),
        (CLIENT, "6.6.6.6", CLIENT),  # it is no proxy: what it says does not count
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"6.6.6.6, {CLIENT}", CLIENT),  # the client wrote the first itself
        (PROXY, f"6.6.6.6,  {CLIENT} ,10.0.0.2,10.0.0.3", CLIENT),
        (PROXY, "10.9.9.9", "10.9.9.9"),  # a client in the proxies' own network
        (PROXY, "", PROXY),
        (PROXY, ",", PROXY),
        (PROXY, "unknown", PROXY),
        (PROXY, "6.6.6.6, nonsense", PROXY),
        (PROXY, "6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        (PROXY, "300.1.1.1", PROXY),
        (PROXY, "192.0.2.01", PROXY),
        (PROXY, "192.0.2.1:4711", CLIENT),
        (PROXY, "[2001:db8::1]:4711", "2001:db8::1"),
        (PROXY, "[2001:db8::1]", "2001:db8::1"),
        (PROXY, "2001:DB8:0::1", "2001:db8::1"),
        (PROXY, "fe80::1%eth0", PROXY),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1", CLIENT),  # a socket for both kinds of address
        ("fd00::7", "2001:db8::1", "2001:db8::1"),
        ("2001:db8::7", "2001:db8::1", "2001:db8::7"),
        (PROXY, ", ".join([CLIENT, *["10.0.0.2"] * 10_000]), "10.0.0.2"),
        ("", CLIENT, None),
        ("nonsense", CLIENT, None),
    ],
)
def test_a_hop_counts_if_its_writer_is_trusted(peer: str, forwarded_for: str, client: str | None) -> None:
    found = find_client(peer, forwarded_for, TRUSTED)
    assert (found and str(found)) == client


def test_no_address_is_believed_that_a_client_of_the_port_writes_itself() -> None:
    """127.0.0.1 is the proxy here, and 127.0.0.2 is not."""
    # Per day: an hour is likelier to end during the test, and then everybody is granted one more request.
    server = Server(TRUSTED_PROXIES="127.0.0.1/32", RATE_LIMIT_ANONYMOUS="1/day")

    def sign_in(source: str, forwarded_for: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60, source_address=(source, 0))
        connection.request("POST", "/things/sign-in", headers={"X-Forwarded-For": forwarded_for})
        status = connection.getresponse().status
        connection.close()
        return status

    assert [sign_in("127.0.0.2", f"192.0.2.{number}") for number in (1, 2)] == [200, 429]
    assert [sign_in("127.0.0.1", f"192.0.2.{number}") for number in (1, 2)] == [200, 200]
    assert sign_in("127.0.0.1", "192.0.2.9, 192.0.2.2") == 429
    lines = [json.loads(line) for line in server.stop().splitlines()]
    callers = [line["caller"] for line in lines if line.get("path") == "/things/sign-in"]
    assert callers == ["127.0.0.2", "127.0.0.2", "192.0.2.1", "192.0.2.2", "192.0.2.2"]
