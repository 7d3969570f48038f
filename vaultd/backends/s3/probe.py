"""What an S3 place really honours, measured; and the settings that work there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Final

from vaultd.backends.base import Finding
from vaultd.backends.s3 import leftovers as s3_leftovers
from vaultd.backends.s3 import probe_lock as s3_probe_lock
from vaultd.backends.s3 import race as s3_race
from vaultd.backends.s3 import reading as s3_reading
from vaultd.backends.s3.address import Connect
from vaultd.backends.s3.client import S3Client
from vaultd.backends.s3.errors import S3Conflict, S3Refusal
from vaultd.backends.s3.reading import list_keys
from vaultd.backends.s3.settings import Checksum, S3Settings
from vaultd.backends.s3.upload import condition, confirm, digests
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError

_BODY: Final = b"vaultd-probe, may be deleted\n"  # S3Http.flipping changes its first words
_MODES: Final[tuple[Checksum, ...]] = ("when_required", "sha256", "when_supported")
_STRICTEST: Final = "sha256"


class Scratch:
    """Keys for the probe below the place's prefix; a dot keeps them out of every listing."""

    def __init__(self, client: S3Client) -> None:
        self.client = client
        self._keys: list[tuple[str, str]] = []

    def key(self) -> str:
        """Return a new key."""
        return self.client.settings.key(f"{s3_leftovers.PROBE}{secrets.token_hex(8)}")

    def put(self, key: str, body: bytes = _BODY, *, conditional: bool = False) -> None:
        """Store an object, remembered for `clean`; raises what the place says."""
        settings = self.client.settings
        only_first = condition(settings) if conditional else {}
        self.remember(key)  # even where no answer comes
        answer = self.client.call(
            "put_object", key, Key=key, Body=body, **digests(replaced(settings), body), **only_first
        )
        self.remember(key, answer.text("VersionId"))
        confirm(self.client, answer, key.removeprefix(settings.key("")))

    def remember(self, key: str, version: str = "") -> None:
        """Remove this too, in the end."""
        self._keys.append((key, version))

    def clean(self) -> None:
        """Remove all that was stored, versions too; what is locked by the bucket stays hidden."""
        versioned = {key for key, version in self._keys if version not in ("", "null")}
        for key, version in dict.fromkeys(self._keys):
            if version in ("", "null") and key in versioned:
                continue  # its versions go one by one, and no marker is left
            with suppress(PlaceError):
                which = {"VersionId": version} if key in versioned else {}
                self.client.call("delete_object", key, Key=key, **which)


def replaced(settings: S3Settings) -> S3Settings:
    """Return the settings without a lock: what the probe stores is not locked."""
    return replace(settings, lock_mode=None, lock_days=0)


@contextmanager
def scratch(client: S3Client) -> Iterator[Scratch]:
    """Give keys for measuring and remove what was stored under them."""
    made = Scratch(client)
    try:
        yield made
    finally:
        made.clean()


def probe(client: S3Client, connect: Connect | None = None) -> Sequence[Finding]:
    """Measure the place with its settings; see Backend.probe."""
    with scratch(client) as room:
        findings = [
            _upload(room),
            _condition(room),
            s3_race.race(room.client, room.key, room.put),
            _multipart(room),
            _damage(room, connect),
            _ranges(room),
        ]
    findings += s3_probe_lock.measure(client)
    findings.append(s3_leftovers.remove(client))
    return findings


def adapt(settings: S3Settings, connect: Connect | None) -> S3Settings:
    """Return settings with the checksum mode, condition and region that work at the place.

    The first mode that is accepted and finds damage wins, else the first that is accepted.
    """
    accepted: list[Checksum] = []
    refusal: PlaceError | None = None
    for mode in dict.fromkeys((settings.checksum, *_MODES)):
        client = S3Client(replace(settings, checksum=mode), connect)
        try:
            with scratch(client) as room:
                room.put(room.key())
                accepted.append(mode)
                if _damage(room).fine:
                    accepted = [mode]
                    break
        except S3Refusal as error:
            refusal = refusal or error
        finally:
            client.close()
    if not accepted and refusal is not None:
        raise refusal
    fitting = replace(settings, checksum=accepted[0], conditional=True)
    client = S3Client(fitting, connect)
    try:
        with scratch(client) as room:
            fine = _condition(room).fine
        region = settings.region or _region(client)
    finally:
        client.close()
    return replace(fitting, conditional=fine, region=region)


def _region(client: S3Client) -> str | None:
    with suppress(PlaceError):
        found = client.call("head_bucket").header("x-amz-bucket-region")
        if found and all(c.isascii() and (c.isalnum() or c == "-") for c in found[:41]):
            return found
    return None


def _upload(room: Scratch) -> Finding:
    """Store an object and look for it in a listing at once; raises PlaceError where none works."""
    key = room.key()
    room.put(key)
    listed = any(entry.text("Key") == key for entry in list_keys(room.client, key))
    if listed:
        return Finding("listing", True, "What was just stored is listed at once.")
    sentence = "What was just stored is not listed at once; vaultd copes, but sees it later."
    return Finding("listing", False, sentence, grave=False)


def _condition(room: Scratch) -> Finding:
    what = "create without replacing"
    if not room.client.settings.conditional:
        sentence = "Conditions are not used here (conditional = false); each upload asks first."
        return Finding(what, True, sentence)
    key = room.key()
    try:
        room.put(key, conditional=True)
        room.put(key, conditional=True)
    except ObjectExists:
        return Finding(what, True, "An object that is there is never replaced.")
    except S3Refusal:
        sentence = "If-None-Match is refused; set conditional = false."
    else:
        sentence = "If-None-Match is ignored; set conditional = false."
    return Finding(what, False, sentence)


def _damage(room: Scratch, connect: Connect | None = None) -> Finding:
    """Send a body that is changed on its way, after its digest and signature were made.

    Where that is not noticed, the strictest checksum is tried and suggested if it helps.
    """
    mode = room.client.settings.checksum
    key = room.key()
    try:
        with room.client.flipping(key.rpartition("/")[2]):
            room.put(key)
    except PlaceError as error:
        if isinstance(error, PlaceBusy) and error.unknown:
            raise
        sentence = f"An upload damaged on its way is refused (checksum = {mode})."
        return Finding("checksum", True, sentence)
    sentence = f"An upload damaged on its way is not noticed (checksum = {mode})."
    more = "Only a later check of the vault finds it."
    if mode != _STRICTEST and _notices(room.client.settings, connect):
        more = f'Set checksum = "{_STRICTEST}", which this place honours.'
    return Finding("checksum", False, f"{sentence} {more}", grave=False)


def _notices(settings: S3Settings, connect: Connect | None) -> bool:
    """Tell whether the place takes the strictest checksum, and refuses what does not fit it."""
    client = S3Client(replace(settings, checksum=_STRICTEST), connect)
    try:
        with scratch(client) as room:
            room.put(room.key())
            return _damage(room).fine
    except PlaceError:
        return False
    finally:
        client.close()


def _ranges(room: Scratch) -> Finding:
    """Read parts of an object as a restore does."""
    what, client = "ranges", room.client
    key = room.key()
    room.put(key)
    name, size = key.removeprefix(client.settings.key("")), len(_BODY)
    try:
        right = (
            s3_reading.read(client, name, 7, 9) == _BODY[7:16]
            and s3_reading.read(client, name, 7, size) == _BODY[7:]
            and s3_reading.read(client, name, size, 5) == b""
        )
    except PlaceBusy:
        raise
    except PlaceError as error:
        return Finding(what, False, f"Parts of objects cannot be read: {error}")
    if right:
        return Finding(what, True, "A part of an object is read without the rest.")
    return Finding(what, False, "Parts of objects come out wrong: nothing could be restored.")


def _multipart(room: Scratch) -> Finding:
    """Complete an upload of one part where an object is there already."""
    client, key, what = room.client, room.key(), "multipart uploads"
    settings = replaced(client.settings)
    room.put(key)
    with_sha = {"ChecksumAlgorithm": "SHA256"} if settings.checksum == "sha256" else {}
    try:
        upload = client.call("create_multipart_upload", key, Key=key, **with_sha).text("UploadId")
    except S3Refusal:
        sentence = f"It takes none, so objects over {settings.part_size} bytes cannot be stored."
        return Finding(what, False, sentence)
    try:
        part = client.call(
            "upload_part", key, Key=key, UploadId=upload, PartNumber=1, Body=_BODY,
            **digests(settings, _BODY),
        )  # fmt: skip
        listed: dict[str, object] = {"PartNumber": 1, "ETag": part.text("ETag")}
        if part.text("ChecksumSHA256"):
            listed["ChecksumSHA256"] = part.text("ChecksumSHA256")
        done = client.call(
            "complete_multipart_upload", key, Key=key, UploadId=upload,
            MultipartUpload={"Parts": [listed]}, **condition(settings),
        )  # fmt: skip
        room.remember(key, done.text("VersionId"))
    except (ObjectExists, S3Conflict):
        sentence = "They work, and their end never replaces an object that is there."
        return Finding(what, True, sentence)
    except S3Refusal as error:
        sentence = f"They fail ({error.error_code}), so large objects cannot be stored."
        return Finding(what, False, sentence)
    finally:
        with suppress(PlaceError):
            client.call("abort_multipart_upload", key, Key=key, UploadId=upload)
    sentence = "They work, but their end ignores If-None-Match; vaultd asks before it."
    return Finding(what, not settings.conditional, sentence, grave=False)
