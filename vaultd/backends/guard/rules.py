"""Where a URL given by a user may lead: never into the pod's own machine or network.

A name is resolved once, every address it has is checked, and the connection goes to a checked
address, so that a second answer of a hostile DNS server is never used.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

from vaultd.backends.guard.own_addresses import is_on_this_machine
from vaultd.backends.transport.addresses import first_that_answers
from vaultd.errors import PlaceBusy, PlaceClosed

Network = IPv4Network | IPv6Network
Own = Callable[[str], bool]
"""Whether a numeric address is the pod's own."""
Resolver = Callable[[str, int], Sequence[str]]
"""From a host name and a port to the name's numeric addresses; raises OSError or ValueError."""

# The IANA registry of special-purpose IPv4 addresses, without what is globally reachable; and
# 168.63.129.16, a public address at which Azure's machines find their platform.
_CLOSED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 "
        "172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 "
        "198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4"
    ).split()
)
# Only 2000::/3 is handed out as global unicast; in it, 2001::/23 (Teredo among it) and the
# documentation's prefixes are not for servers.
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_CLOSED_V6: Final = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_NAT64: Final = IPv6Network("64:ff9b::/96")


def allowed(address: str) -> bool:
    """Tell whether a numeric address is one of the public internet.

    IPv4 addresses inside IPv6 ones (mapped, 6to4, NAT64) are judged as IPv4; Teredo, zone ids and
    what is no address are refused.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return _allowed_v4(found)
    if found.scope_id is not None:
        return False
    inner = _inside(found)
    if inner is not None:
        return _allowed_v4(inner)
    return found in _GLOBAL_V6 and not any(found in network for network in _CLOSED_V6)


def _allowed_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _CLOSED_V4)


def _inside(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:  # RFC 6052 2.1
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Return the addresses this machine finds for a name; glibc itself limits its patience."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def resolve(
    host: str,
    port: int,
    *,
    permitted: Sequence[Network] = (),
    own: Own = is_on_this_machine,
    resolver: Resolver = system_resolver,
) -> list[str]:
    """Return the numeric addresses of a name or address, all of them checked.

    `permitted` are networks that the podmin allows although they are not public, or the pod's:
    what listens only for this machine, or trusts the pod's address, often does so at a public
    address, too. Raises PlaceRefused when any address is not allowed, and PlaceBusy when there is
    none.
    """
    try:
        addresses = list(resolver(host, port))
    except (OSError, ValueError) as error:  # ValueError: a label too long, a zero byte
        reason = error.strerror if isinstance(error, OSError) else None
        raise _unknown(host, reason or "it is not a possible name") from error
    if not addresses:
        raise _unknown(host, "it has no address")
    for address in addresses:
        if _is_permitted(address, permitted):
            continue
        if allowed(address) and any(own(each) for each in _faces(address)):
            raise PlaceClosed(
                f"The host {shown(host)} has the address {shown(address)}, which is the pod's own.",
                hint="A backup belongs on another machine; only the podmin permits others.",
            )
        if not allowed(address):
            raise PlaceClosed(
                f"The host {shown(host)} has the address {shown(address)}, which is not one of "
                "the public internet.",
                hint="A place of your own is on a public address; others only the podmin permits.",
            )
    return addresses


def _faces(address: str) -> Sequence[str]:
    """Return a numeric address, and the IPv4 address inside it if there is one."""
    found = ipaddress.ip_address(address)
    inner = _inside(found) if isinstance(found, IPv6Address) else None
    return (address,) if inner is None else (address, str(inner))


def _is_permitted(address: str, permitted: Sequence[Network]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in permitted)


def _unknown(host: str, reason: str) -> PlaceBusy:
    return PlaceBusy(
        f"The host name {shown(host)} is not known ({reason}).",
        hint="Check the name and this machine's DNS.",
        unknown=False,
    )


def shown(text: str) -> str:
    """Return a name that somebody else chose so that it can stand in a sentence."""
    return "".join(c if c.isprintable() else "?" for c in text[:100])


def guarded_socket(
    host: str,
    port: int,
    timeout: float,
    *,
    permitted: Sequence[Network] = (),
    own: Own = is_on_this_machine,
    resolver: Resolver = system_resolver,
) -> socket.socket:
    """Return a TCP socket to a checked address of `host`, connected within `timeout` seconds.

    The socket keeps `timeout` for each later operation. Raises like `resolve`, and OSError like
    socket.create_connection.
    """
    addresses = resolve(host, port, permitted=permitted, own=own, resolver=resolver)

    def connect(address: str, patience: float) -> socket.socket:
        return _connect(address, port, patience, timeout)

    return first_that_answers(addresses, timeout, connect, OSError)


def _connect(address: str, port: int, patience: float, timeout: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(patience)
        connection.connect((address, port))
        connection.settimeout(timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        connection.close()
        raise
    return connection
