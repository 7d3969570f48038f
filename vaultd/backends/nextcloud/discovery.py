"""From a Nextcloud's or ownCloud's bare URL to what it is, and where its files and uploads lie."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx
import msgspec

from vaultd.backends.transport.http import Answer, HttpConnection, place_url
from vaultd.backends.webdav.verbs import below
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError

_SCHEMES: Final = {"http": "http", "https": "https", "nextcloud": "https", "owncloud": "https"}
_JSON_BODY: Final = 1024 * 1024
# What people copy from the address bar after the server's own address.
_PAGE: Final = re.compile(r"/(?:index\.php|remote\.php|status\.php|ocs|apps|login|settings)(?:/|$)")
_PERHAPS: Final = (200, 400, 401, 403, 404, 405, 406, 410)
_OCS: Final = {"OCS-APIRequest": "true", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class Cloud:
    """What a server says of itself and of us.

    `chunks`: big files may come in parts that are joined there; `tus`: by the TUS protocol, at
    most so many bytes a part (0: any), None where not; `trash` and `versions`: what is deleted or
    replaced is kept and counts.
    """

    product: str
    version: str
    user: str
    chunks: bool
    tus: int | None
    trash: bool
    versions: bool


def given_url(server: str) -> httpx.URL:
    """Return the address as it was given; raises UsageError for what is none."""
    return place_url(server, _SCHEMES)


def server_url(server: str) -> httpx.URL:
    """Return the server's address without the page somebody copied; raises UsageError."""
    url = given_url(server)
    raw = url.raw_path.decode("ascii")
    page = _PAGE.search(raw)
    raw = raw[: page.start()] if page else raw.rstrip("/")
    return url.copy_with(raw_path=(raw or "/").encode("ascii"))


def files_url(server: httpx.URL, user: str, folder: str) -> httpx.URL:
    """Return the WebDAV address of a user's folder (Nextcloud, ownCloud 10 and oCIS alike)."""
    parts = [quote(part, safe="") for part in (user, *folder.split("/"))]
    return below(server, f"remote.php/dav/files/{'/'.join(parts)}")


def uploads_url(server: httpx.URL, user: str) -> httpx.URL:
    """Return the collection for uploads in parts."""
    return below(server, f"remote.php/dav/uploads/{quote(user, safe='')}")


def discover(http: HttpConnection, server: httpx.URL, username: str) -> Cloud:
    """Ask a server what it is, what it can, and for the user's own id.

    The id may be another than the name of the login (an e-mail address). Raises PlaceError.
    """
    status = _json(_get(http, below(server, "status.php"), login=False))
    if not isinstance(status, dict) or not isinstance(status.get("version"), str):
        raise no_cloud(http.where)
    if status.get("maintenance") is True:
        raise maintenance(http.where)
    capabilities = _ocs(http, server, "capabilities").get("capabilities")
    user = _ocs(http, server, "user").get("id")
    files = _at(capabilities, "files")
    tus = _at(files, "tus_support")
    size = _at(tus, "max_chunk_size")
    return Cloud(
        product=_words(status.get("product") or status.get("productname"), "ownCloud"),
        version=_words(status.get("productversion") or status.get("versionstring"), "?"),
        user=user if isinstance(user, str) and user else username,
        chunks=bool(_at(capabilities, "dav", "chunking")),
        tus=(size if isinstance(size, int) and size > 0 else 0) if isinstance(tus, dict) else None,
        trash=_at(files, "undelete") is True,
        versions=_at(files, "versioning") is True,
    )


def no_cloud(where: str) -> PlaceError:
    """Return the error of an address where there is something else."""
    return PlaceError(
        f"There is no Nextcloud or ownCloud at {where}.",
        hint="Write the address that its start page has.",
    )


def maintenance(where: str) -> PlaceBusy:
    """Return the error of a server that its owner has closed for now."""
    return PlaceBusy(
        f"{where} is in maintenance mode.",
        hint="Its owner ends that with `occ maintenance:mode --off`.",
        unknown=False,
    )


def cloud_refusal(answer: Answer, where: str) -> PlaceError | None:
    """Return the error of answers that mean more here than elsewhere, else None."""
    closed = "x-nextcloud-maintenance-mode" in answer.headers
    if answer.status == 503 and (closed or b"maintenance mode" in answer.body):
        return maintenance(where)
    if answer.status == 503 and b"Upgrade needed" in answer.body:
        return PlaceBusy(f"{where} waits for its owner to finish an upgrade.", unknown=False)
    if answer.status == 401:
        return PlaceClosed(
            f"{where} does not accept these credentials (401).",
            hint="Make an app password there (Settings, Security), or log in again.",
        )
    return None


def _get(http: HttpConnection, url: httpx.URL, *, login: bool) -> Answer:
    return http.request(
        "GET", url, "be asked what it is", fine=(200,) if login else _PERHAPS, headers=_OCS,
        harmless=True, limit=_JSON_BODY, login=login,
    )  # fmt: skip


def _ocs(http: HttpConnection, server: httpx.URL, what: str) -> dict[str, object]:
    url = below(server, f"ocs/v2.php/cloud/{what}?format=json")
    data = _at(_json(_get(http, url, login=True)), "ocs", "data")
    return data if isinstance(data, dict) else {}


def _json(answer: Answer) -> object:
    try:
        found: object = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found


def _at(value: object, *path: str) -> object:
    """Return what lies at a path, None where there is nothing (PHP writes {} as [])."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _words(value: object, otherwise: str) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text if c.isalnum() or c in " .-")[:40] or otherwise
