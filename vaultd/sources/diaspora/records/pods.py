"""The pods that a pod knows: where people are, and the records of them that all accounts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Table, func, select

from vaultd.records import Body, Records, encode_record
from vaultd.sources.diaspora.batch import Batch
from vaultd.sources.diaspora.records.values import text

# Ids of one record: a new pod writes half of these again, and each record costs an index's entry.
_TOGETHER: Final = 128


@dataclass(frozen=True, slots=True)
class Pods:
    """The `pods` table: host[:port] by id, URL by host, and the table in some `known_pods`."""

    hosts: Mapping[int, str]
    urls: Mapping[str, str]
    known: Records


def of_one_name(pods: Table, *columns: Any) -> Select[Any]:
    """Ask for host and port (facts A2) that several rows have, and for sums over these rows."""
    name, port = func.lower(pods.c.host), func.coalesce(pods.c.port, -1)
    query = select(name, port, *columns).group_by(name, port).having(func.count() > 1)
    return query.order_by(name, port)


def read_pods(batch: Batch) -> Pods:
    """Read the whole table; of rows with the same host the last gives the URL."""
    table = batch.schema["pods"]
    query = select(table.c.id, table.c.host, table.c.port, table.c.ssl).order_by(table.c.id)
    hosts: dict[int, str] = {}
    urls: dict[str, str] = {}
    groups: dict[int, dict[str, str]] = {}
    for number, name, port, ssl in batch.fetch(query):
        host = text(name).lower()
        if not host:
            continue  # its people are where their handles say
        if port not in (None, -1):  # both are the default (facts A2)
            host = f"{host}:{port}"
        url = f"{'http' if ssl in (0, False) else 'https'}://{host}/"
        hosts[number] = host
        urls[host] = groups.setdefault(number // _TOGETHER, {})[host] = url
    ids = [str(group) for group in groups]
    wires = [encode_record("known_pods", str(n), _body(group)) for n, group in groups.items()]
    return Pods(hosts, urls, Records("known_pods", ids, wires, passive=True, shared=True))


def _body(urls: Mapping[str, str]) -> Body:
    return {
        "hosts": [*urls],
        "urls": {host: url for host, url in urls.items() if url != f"https://{host}/"},
    }
