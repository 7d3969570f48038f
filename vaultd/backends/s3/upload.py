"""Creating objects on S3: one request for a small one, a multipart upload for a large one."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import BinaryIO, Final

from vaultd.backends.s3.client import Answer, S3Client
from vaultd.backends.s3.errors import S3Conflict
from vaultd.backends.s3.lock import ensure_locked, retention
from vaultd.backends.s3.reading import list_keys
from vaultd.backends.s3.settings import S3Settings
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError

_MAX_PARTS: Final = 10_000
_MAX_SIZE: Final = 5 * 1024**4  # of an object, by S3's rules
_CHECKSUMS: Final = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA256")


class SizedReader:
    """Exactly `size` bytes of `data`, piece by piece; `data` may trickle.

    Raises PlaceError for data of another length, and what `data.read` raises.
    """

    def __init__(self, data: BinaryIO, size: int) -> None:
        self._data = data
        self.left = size
        self._size = size

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, fewer only at the end, where the data must end too."""
        wanted = min(count, self.left)
        pieces: list[bytes] = []
        taken = 0
        while taken < wanted:
            piece = self._data.read(wanted - taken)
            if not piece:
                missing = self.left - taken
                raise PlaceError(f"The data ended {missing} bytes before its promised size.")
            pieces.append(piece)
            taken += len(piece)
        self.left -= wanted
        if taken > wanted or (not self.left and self._data.read(1)):
            raise PlaceError(f"The data is longer than its promised {self._size} bytes.")
        return b"".join(pieces)  # no copy of a single one


def create(client: S3Client, name: str, data: BinaryIO, size: int) -> None:
    """Store a new object; see Backend.create."""
    reader = SizedReader(data, size)
    if size <= client.settings.part_size:
        _put(client, name, reader.take(size))
        return
    if size > _MAX_SIZE:
        raise PlaceError(f"{name} has {size} bytes; S3 takes at most {_MAX_SIZE}.")
    _refuse_existing(client, name)
    _Multipart(client, name).send(reader, size)


def _put(client: S3Client, name: str, body: bytes) -> None:
    settings = client.settings
    if not settings.conditional:
        _refuse_existing(client, name)
    try:
        answer = client.call(
            "put_object",
            name,
            Key=settings.key(name),
            Body=body,
            **new_object(settings),
            **digests(settings, body),
            **condition(settings),
        )
    except S3Conflict:
        _refuse_existing(client, name)
        raise
    _look(client, answer, name, body)


def _look(client: S3Client, answer: Answer, name: str, body: bytes) -> None:
    """Make sure that the body is there: by the digest that the place made of it, else by a look.

    An ETag is the body's MD5 but for some kinds of encryption and some makers.
    """
    told = answer.text("ETag").strip('"').lower()
    if told and told == hashlib.md5(body, usedforsecurity=False).hexdigest():
        return
    sha256 = answer.text("ChecksumSHA256")
    if sha256 and sha256 == base64.b64encode(hashlib.sha256(body).digest()).decode("ascii"):
        return
    confirm(client, answer, name, len(body))
    _check_size(client, name, len(body))


def _check_size(client: S3Client, name: str, size: int) -> None:
    """Raise PlaceError unless an object of this size is there, whatever its upload answered."""
    found = client.call("head_object", name, Key=client.settings.key(name))
    if found.number("ContentLength") != size:
        raise PlaceError(
            f"{client.settings.where} holds {name} in another size than {size} bytes.",
            hint="`vaultd verify` tells what is damaged there.",
        )
    confirm(client, found, name, size)


def exists(client: S3Client, name: str) -> bool:
    """Return whether an object is there."""
    try:
        answer = client.call("head_object", name, Key=client.settings.key(name))
    except ObjectMissing:
        return False
    confirm(client, answer, name)
    return True


def _refuse_existing(client: S3Client, name: str) -> None:
    if exists(client, name):
        raise ObjectExists(f"{name} is already in {client.settings.where}.")


def confirm(client: S3Client, answer: Answer, name: str, size: int | None = None) -> None:
    """Raise PlaceError unless an answer has the ETag that S3 always gives, or a look (JuiceFS
    gives none) finds an object of this name, with `size` bytes where that is known.

    A login page in between says 200 to everything.
    """
    if not answer.text("ETag") and not _listed(client, name, size):
        raise PlaceError(
            f"{client.settings.where} did not confirm {name} as S3 does.",
            hint="Is the endpoint right, and is there no login page in between?",
        )


def _listed(client: S3Client, name: str, size: int | None) -> bool:
    key = client.settings.key(name)
    return any(
        entry.text("Key") == key and size in (None, entry.number("Size"))
        for entry in list_keys(client, key)
    )


def condition(settings: S3Settings) -> dict[str, object]:
    """Return the parameter that lets only the first of a name be created, where honoured."""
    return {"IfNoneMatch": "*"} if settings.conditional else {}


def new_object(settings: S3Settings) -> dict[str, object]:
    """Return what a new object is made with: content type, storage class, lock."""
    made: dict[str, object] = {"ContentType": "application/octet-stream", **retention(settings)}
    if settings.storage_class is not None:
        made["StorageClass"] = settings.storage_class
    return made


def digests(settings: S3Settings, body: bytes) -> dict[str, object]:
    """Return the digest sent with a body, beside that in its signature."""
    if settings.checksum == "sha256":
        return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(body).digest()).decode()}
    if settings.lock_mode is not None and settings.checksum == "when_required":
        # S3 refuses an upload with a lock that has no digest of its own.
        md5 = hashlib.md5(body, usedforsecurity=False)
        return {"ContentMD5": base64.b64encode(md5.digest()).decode()}
    return {}


class _Multipart:
    """One multipart upload: all of it or nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
    """

    def __init__(self, client: S3Client, name: str) -> None:
        self._client = client
        self._settings = client.settings
        self._name = name
        self._key = self._settings.key(name)
        self._upload = ""

    def send(self, reader: SizedReader, size: int) -> None:
        """Upload all of `reader`; raises what Backend.create raises."""
        algorithm = {"ChecksumAlgorithm": "SHA256"} if self._settings.checksum == "sha256" else {}
        started = self._client.call(
            "create_multipart_upload",
            self._name,
            Key=self._key,
            **new_object(self._settings),
            **algorithm,
        )
        self._upload = started.text("UploadId")
        if not self._upload:
            raise PlaceError(f"{self._settings.where} gives no upload id, as S3 does.")
        try:
            parts = self._send_parts(reader, size)
            # Some stores ignore the condition of the completion.
            _refuse_existing(self._client, self._name)
        except BaseException:
            self._abort()
            raise
        self._complete(parts, size)

    def _send_parts(self, reader: SizedReader, size: int) -> list[dict[str, object]]:
        step = max(self._settings.part_size, -(-size // _MAX_PARTS))
        parts: list[dict[str, object]] = []
        while reader.left:
            body = reader.take(step)
            answer = self._client.call(
                "upload_part",
                self._name,
                Key=self._key,
                UploadId=self._upload,
                PartNumber=len(parts) + 1,
                Body=body,
                **digests(self._settings, body),
            )
            confirm(self._client, answer, self._name)
            part: dict[str, object] = {"PartNumber": len(parts) + 1, "ETag": answer.text("ETag")}
            part |= {field: answer.text(field) for field in _CHECKSUMS if answer.text(field)}
            parts.append(part)
        return parts

    def _complete(self, parts: list[dict[str, object]], size: int) -> None:
        try:
            self._client.call(
                "complete_multipart_upload",
                self._name,
                Key=self._key,
                UploadId=self._upload,
                MultipartUpload={"Parts": parts},
                **condition(self._settings),
            )
        except PlaceBusy as error:
            # Where it may be completing still, an abort could take its parts away (Swift);
            # a later probe() removes what is left of it.
            if not error.unknown:
                self._abort()
            if isinstance(error, S3Conflict):
                _refuse_existing(self._client, self._name)
            raise
        except PlaceError:
            self._abort()
            raise
        _check_size(self._client, self._name, size)
        if self._settings.lock_mode is not None:
            ensure_locked(self._client, self._name)

    def _abort(self) -> None:
        with suppress(PlaceError):
            self._client.call(
                "abort_multipart_upload", self._name, Key=self._key, UploadId=self._upload
            )
