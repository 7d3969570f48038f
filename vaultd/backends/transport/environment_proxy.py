"""Which proxy the environment names for a URL: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from vaultd.errors import PlaceError

_SPOKEN: Final = ("http", "https")


def proxy_for(url: str) -> str | None:
    """Return the URL of the proxy for `url`, None for a direct way.

    What is in NO_PROXY and makes no sense is passed over, as curl does. Raises PlaceError for a
    proxy that cannot be used.
    """
    target = urlsplit(url)
    host, found = (target.hostname or "").lower(), getproxies()
    proxy = found.get(target.scheme) or found.get("all")
    if not proxy or any(
        _matches(host, target.port, each) for each in found.get("no", "").split(",")
    ):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _SPOKEN and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise PlaceError(
            f"The environment names a proxy for {host} that cannot be used: vaultd speaks to "
            "http:// and https:// proxies.",
            hint=f"Set {target.scheme.upper()}_PROXY to one, or add {host} to NO_PROXY.",
        )
    return proxy


def _matches(host: str, port: int | None, entry: str) -> bool:
    """Tell whether one entry of NO_PROXY means a host: its name or domain, address or network."""
    entry = entry.strip().lower()
    if entry == "*":
        return True
    name, colon, number = entry.rpartition(":")
    if colon and number.isdecimal() and (":" not in name or name.endswith("]")):
        if port != int(number):
            return False
        entry = name
    entry = entry.removeprefix("[").removesuffix("]").removeprefix("*")
    try:
        address = ip_address(host)
    except ValueError:
        entry = entry.removeprefix(".").removesuffix(".")
        return bool(entry) and (host == entry or host.endswith(f".{entry}"))
    try:
        return address in ip_network(entry.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False
