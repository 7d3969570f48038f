"""The section on far targets: throughput beside rclone, requests, connections, cold start."""

from __future__ import annotations

from typing import Any, Final

from bench.tables import Table, row

_MEASURING: Final = 5  # requests with which a process finds out how a WebDAV server behaves
_LOOKS: Final = {"s3": "GET", "webdav": "PROPFIND"}
_KEPT_FOR: Final = 100  # requests after which Apache ends a connection by default
_MOST: Final = {"s3": 1, "webdav": 3}


def far_targets(f: dict[str, Any]) -> Table:
    """Return the section's lines."""
    head = ["| figure | target | measured | |", "|---|---|---|---|"]
    servers = f["servers"]
    page = [
        f"## Far targets, beside `rclone copy --transfers {f['transfers']}`",
        "",
        "One night of many accounts: an archive of about 4 KB each, into vaults that are there. "
        f"Two workers with {f['uploads']} uploads at once between them commit them as every run "
        "does, in batches; each vault is listed first, lest somebody else wrote there. "
        "rclone copies the same objects into the same folders, which it lists as well. "
        "The pictures belong to 8 accounts, whose batch these workers run: read, hash, encrypt, "
        "store, and an archive for each account; rclone copies their files. Milliseconds are those "
        "added to every answer by a proxy on loopback, by which both go; the throughput is "
        "vaultd's in parts of rclone's.",
        "",
        *head,
    ]
    for name, server in servers.items():
        for each in server["small"]:
            page.append(_ratio(name, each, f"{each['archives']:,} archives", each["vaultd"]))
        for each in server["pictures"]:
            mebibytes = each["bytes"] / 2**20
            what = f"{each['pictures']:,} new pictures, {mebibytes:,.0f} MiB"
            page.append(_ratio(name, each, what, each["vaultd"]))
    page += ["", *head]
    for name, server in servers.items():
        page += _requests(name, server, f["uploads"])
    listing = [(name, s["listing"]) for name, s in servers.items() if "listing" in s]
    for name, each in listing:
        most = -(-each["vaults"] // 1000)
        page.append(
            row(
                f"{name}: requests that list {each['vaults']:,} vaults of one object",
                f"{most}",
                f"{each['requests']}",
                each["requests"] <= most,
            )
        )
    return [*page, "", *_notes(servers), ""]


def _ratio(name: str, each: dict[str, Any], what: str, taken: float) -> str:
    share = each["rclone"] / taken
    value = f"{share:.0%} ({each['bytes'] / taken / 1e6:,.1f} MB/s)"
    return row(f"{name}, {each['round_trip'] * 1000:.0f} ms: {what}", "90%", value, share >= 0.9)


def _requests(name: str, server: dict[str, Any], uploads: int) -> Table:
    """Requests of the night that is farthest away: its table is the proxy's."""
    night, kind = server["small"][-1], server["kind"]
    looks = night["requests"].get(_LOOKS[kind], 0)
    workers = len(server["cold"])
    once = _MEASURING * workers if kind == "webdav" else 0
    stored = (sum(night["requests"].values()) - looks - once) / night["archives"]
    theirs = sum(night["rclone_requests"].values()) / night["archives"]
    rows = [
        row(
            f"{name}: requests that store an archive (rclone in all: {theirs:.1f})",
            f"{_MOST[kind]}",
            f"{stored:.2f}, after a look at the vault of {looks / night['archives']:.2f}",
            stored <= _MOST[kind],
        )
    ]
    if name != "moto":  # it ends every connection after its answer
        most = uploads + sum(night["requests"].values()) // _KEPT_FOR
        rows.append(
            row(
                f"{name}: connections for {night['archives']:,} archives",
                f"{most}: one for each upload at once, and after {_KEPT_FOR} requests",
                f"{night['connections']}",
                night["connections"] <= most,
            )
        )
    return rows


def _notes(servers: dict[str, Any]) -> Table:
    cold = ", ".join(
        f"{name} {max(c['first'] for c in server['cold']) * 1e3:.0f} ms "
        f"({max(c['next'] for c in server['cold']) * 1e3:.0f})"
        for name, server in servers.items()
    )
    cpu = ", ".join(
        f"{name} {s['pictures'][0]['cpu']:.1f} s ({s['pictures'][0]['rclone_cpu']:.1f} s)"
        for name, s in servers.items()
    )
    return [
        "A process pays the cold start of a client once, whatever the number of accounts; first "
        f"request (and the next) of a worker: {cold}. On WebDAV it then asks {_MEASURING} requests "
        "once, to learn how the server behaves; they are not counted above.",
        "",
        "While pictures are on their way a run reads, hashes and encrypts the next. Where nothing "
        "else takes time (0 ms) that does, on processors which the server and the proxy share; "
        f"processor time for the pictures, of vaultd (and of rclone, which only sends): {cpu}.",
        "",
        "Counts differ because Swift is slow on one machine, and because rclone sends WebDAV at "
        "most 100 requests a second, so that its share of time there is its own.",
    ]
