"""The client address of a request, from trusted proxies only.

`X-Forwarded-For` is read from its end, which the nearest proxy wrote: an entry counts if its writer connects from a
network in TRUSTED_PROXIES. So a client that connects directly, or sends the header itself, still has its own address. A
malformed entry ends the parsing: the client is the hop before it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from flask import current_app, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Flask

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
_MAX_HOPS = 20
_IPV6_NETWORK_BITS = 64  # the prefix of one client
_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


def register(app: Flask, trusted_proxies: str) -> None:
    """Trust the proxies in these comma-separated networks."""
    app.extensions["trusted_proxies"] = [ip_network(network.strip()) for network in trusted_proxies.split(",")]


def client_address() -> str:
    """The address of this request's client, or `unknown`."""
    return str(_of_request() or UNKNOWN)


def client_network() -> str:
    """The address for counting a client: for IPv6 its network of 64 bits."""
    address = _of_request()
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_NETWORK_BITS), strict=False))
    return str(address or UNKNOWN)


def find_client(peer: str, forwarded_for: str, trusted: Sequence[Network]) -> Address | None:
    """The client of a connection from `peer`, whose request has this `X-Forwarded-For`."""
    address = _parse(peer)
    for text in reversed(forwarded_for.split(",")[-_MAX_HOPS:]):
        if address is None or not any(address in network for network in trusted):
            break
        before = _parse(text.strip())
        if before is None:
            break
        address = before
    return address


def _of_request() -> Address | None:
    forwarded_for = request.headers.get("X-Forwarded-For", "")
    return find_client(request.remote_addr or "", forwarded_for, current_app.extensions["trusted_proxies"])


def _parse(text: str) -> Address | None:
    with_port = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address(with_port[1] or with_port[2] if with_port else text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None  # it is valid only on the machine that wrote it
        return address.ipv4_mapped or address
    return address
