"""Judges IP addresses: which ones may a recorder inside somebody's cloud connect to.

The tables are our own copy of the registries, because what `ipaddress` calls global has changed
between Python releases.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), RFC 6598 (100.64.0.0/10),
RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

import socket
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

# Where a deployment may say that its own network is meant.
_PRIVATE: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("127.0.0.0/8", "a loopback"),
        ("10.0.0.0/8", "a private"),
        ("172.16.0.0/12", "a private"),
        ("192.168.0.0/16", "a private"),
        ("100.64.0.0/10", "a carrier-grade NAT"),
        ("198.18.0.0/15", "a benchmarking"),
        ("192.0.2.0/24", "a documentation"),
        ("198.51.100.0/24", "a documentation"),
        ("203.0.113.0/24", "a documentation"),
        ("::1/128", "a loopback"),
        ("fc00::/7", "a private"),
    )
)

# No live stream is served from these, and some of them hand out credentials.
_NEVER: tuple[tuple[IPv4Network | IPv6Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("fd00:ec2::/32", "a cloud metadata"),
        ("169.254.0.0/16", "a link-local or cloud metadata"),
        ("0.0.0.0/8", "an unspecified"),
        ("192.0.0.0/24", "a reserved"),
        ("192.88.99.0/24", "a reserved"),
        ("224.0.0.0/4", "a multicast"),
        ("240.0.0.0/4", "a reserved"),
        ("::/128", "an unspecified"),
        ("::ffff:0:0/96", "an IPv4-mapped"),
        ("fe80::/10", "a link-local"),
        ("ff00::/8", "a multicast"),
        ("2001::/32", "a Teredo"),
        ("2001::/23", "a reserved"),
        ("2001:db8::/32", "a documentation"),
        ("2002::/16", "a 6to4"),
        ("3fff::/20", "a documentation"),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")


def kind_of(address: str, *, allow_private: bool) -> tuple[str, bool] | None:
    """Say why a recorder must not connect to `address`, or None when it may.

    Returns: the kind of address ("a private") and whether the deployment could allow it.
    Raises: ValueError if `address` is no IP address.
    """
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and ip in _NAT64:
        # A DNS64 network answers so for every IPv4 host: what counts is the host behind it.
        ip = IPv4Address(int(ip) & 0xFFFFFFFF)
    for network, kind in _NEVER:
        if ip in network:
            return kind, False
    for network, kind in _PRIVATE:
        if ip in network:
            return None if allow_private else (kind, True)
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return "a reserved", False
    return None


def looks_like_ipv4(host: str) -> bool:
    """Tell whether some resolver would read `host` as a number and not as a name.

    Source: WHATWG URL §3.5 "ends in a number".
    """
    last = host.rpartition(".")[2].lower()
    return last.isdigit() or (last[:2] == "0x" and all(c in "0123456789abcdef" for c in last[2:]))


def plain_ipv4(host: str) -> str | None:
    """Return `host` if it is four plain decimal numbers."""
    try:
        return str(IPv4Address(host))
    except ValueError:
        return None


def spelled_ipv4(host: str) -> str | None:
    """Read the short, decimal, octal and hexadecimal spellings of inet_aton(3)."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def ipv6(host: str) -> str | None:
    """Return an IPv6 address in its normal form; one with a zone is none."""
    try:
        return None if "%" in host else str(IPv6Address(host))
    except ValueError:
        return None
