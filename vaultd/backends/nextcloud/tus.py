"""Big files to ownCloud Infinite Scale by TUS 1.0.0 (tus.io; ocis developer manual).

POST to the collection makes an upload, PATCH adds a part at an offset; the file shows under its
name after the last. The server may look it over first (425 Too Early).
"""

from __future__ import annotations

import time
from base64 import b64encode
from contextlib import suppress
from typing import Final

import httpx

from vaultd.backends.transport.http_errors import shown_host
from vaultd.backends.transport.http_headers import header
from vaultd.backends.transport.sized_body import SizedBody
from vaultd.backends.webdav.verbs import WebdavVerbs
from vaultd.errors import PlaceBusy, PlaceError

_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PAUSE, _PATIENCE = 0.25, 30.0


def upload_tus(verbs: WebdavVerbs, place: httpx.URL, body: SizedBody, part_size: int) -> None:
    """Store a body at `place`, a temporary name, in parts. Raises PlaceError, and what it raises.

    An upload that fails is ended there, if the server can do that.
    """
    raw, _, name = place.raw_path.decode("ascii").rpartition("/")
    collection = place.copy_with(raw_path=f"{raw}/".encode("ascii"))
    metadata = f"filename {b64encode(name.encode('ascii')).decode('ascii')}"
    made = verbs.http.request(
        "POST", collection, "store objects", fine=(201,), harmless=True,
        headers={**_TUS, "Upload-Length": str(body.size), "Upload-Metadata": metadata,
                 "Content-Length": "0"},
    )  # fmt: skip
    upload = _same_server(verbs, collection, header(made.headers, "location"))
    done = False
    try:
        while body.left:
            _patch(verbs, upload, body, min(part_size, body.left))
        done = True
    finally:
        if not done:
            with suppress(PlaceError):
                verbs.http.request(
                    "DELETE", upload, "end an upload", fine=range(200, 500), headers=_TUS,
                    harmless=True,
                )  # fmt: skip
    _wait(verbs, place)


def _patch(verbs: WebdavVerbs, upload: httpx.URL, body: SizedBody, part: int) -> None:
    offset = body.size - body.left
    headers = {
        **_TUS,
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(part),
    }
    answer = verbs.http.request(
        "PATCH", upload, "store objects", fine=(200, 204), headers=headers,
        body=body.pieces(part), harmless=True,
    )  # fmt: skip
    if header(answer.headers, "upload-offset") != str(offset + part):
        raise PlaceBusy(f"{verbs.where} took only a part of what it was sent.", unknown=False)


def _same_server(verbs: WebdavVerbs, asked: httpx.URL, location: str) -> httpx.URL:
    try:
        upload = asked.join(location)
    except httpx.InvalidURL:
        upload = httpx.URL("")
    if not location or (upload.scheme, upload.netloc) != (asked.scheme, asked.netloc):
        raise PlaceError(
            f"{verbs.where} wants big uploads at another server ({shown_host(upload)}), where "
            "vaultd sends nothing.",
            hint="Its owner may set its public address (OCIS_URL).",
        )
    return upload


def _wait(verbs: WebdavVerbs, place: httpx.URL) -> None:
    """Wait while the server looks the file over."""
    end = time.monotonic() + _PATIENCE
    while True:
        answer = verbs.http.request(
            "HEAD", place, "show objects", fine=(200, 404, 425), harmless=True
        )
        if answer.status == 200 or time.monotonic() > end:
            return  # what is wrong is found by the rename
        time.sleep(_PAUSE)
