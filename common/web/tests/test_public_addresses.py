"""Which addresses requests may connect to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses

from common.web.public_addresses import is_allowed, parse_networks

PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "240.0.0.1"),
    *("255.255.255.255", "224.0.0.1", "192.88.99.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "64:ff9b:1::1"),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address, [])


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, [])


@pytest.mark.parametrize(
    "address",
    ["::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "2002:7f00:1::1", "::10.0.0.1", "2001:0:a00:1::"],
)
def test_an_ipv4_address_inside_an_ipv6_one_is_seen(address: str) -> None:
    assert not is_allowed(address, [])


@given(ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_inside(address: object) -> None:
    assert is_allowed(f"::ffff:{address}", []) == is_allowed(str(address), [])
    assert is_allowed(f"64:ff9b::{address}", []) == is_allowed(str(address), [])


def test_a_network_of_the_list_is_allowed_and_no_other() -> None:
    allowed = parse_networks("127.0.0.0/8, fd00::/8")
    assert is_allowed("127.0.0.1", allowed)
    assert is_allowed("::ffff:127.0.0.1", allowed)
    assert is_allowed("fd00::1", allowed)
    assert not is_allowed("10.0.0.1", allowed)
    assert parse_networks("") == []
