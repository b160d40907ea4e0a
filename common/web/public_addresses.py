"""The addresses that requests to customers' URLs may connect to. Pure.

Guarantee: an address is public, or in a network that the installation allows; an IPv4 address inside an IPv6 one
(mapped, compatible, 6to4, Teredo, NAT64) is checked instead of the outer address.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network

    Address = IPv4Address | IPv6Address
    Networks = Sequence[IPv4Network | IPv6Network]

# Beyond what the standard library calls private (https://www.iana.org/assignments/iana-ipv4-special-registry).
_FORBIDDEN = tuple(
    map(ip_network, ("192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10", "3fff::/20", "5f00::/16", "100.64.0.0/10"))
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, deprecated


def parse_networks(text: str) -> Networks:
    """Comma-separated networks in CIDR notation; an empty text is none."""
    return [ip_network(part.strip()) for part in text.split(",") if part.strip()]


def is_allowed(text: str, allowed: Networks) -> bool:
    """Whether a connection to this address is allowed. An IPv6 zone (`%eth0`) makes an address local."""
    address = ip_address(text.partition("%")[0])
    return all(_is_one_allowed(each, allowed) for each in (embedded(address) or (address,)))


def embedded(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses embedded in an IPv6 address; none for any other."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def _is_one_allowed(address: Address, allowed: Networks) -> bool:
    if any(address in network for network in allowed):
        return True
    if any(address in network for network in _FORBIDDEN):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)
