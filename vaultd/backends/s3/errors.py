"""What an S3 server refuses, as a PlaceError whose sentence says whose move it is.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and those of Ceph,
MinIO and Swift where they differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, cast

from vaultd import clock
from vaultd.backends.s3.settings import S3Settings
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceClosed,
    PlaceError,
    PlaceFull,
    PlaceRefused,
)

_MAX_RETRY_AFTER: Final = 86400.0
_SKEW_SECONDS: Final = 900  # S3 refuses what is signed with a clock that differs by more
_NO_EFFECT: Final = frozenset({
    "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests", "RequestLimitExceeded",
    "BandwidthLimitExceeded", "RequestThrottled", "RequestThrottledException",
    "OperationAborted", "ConditionalRequestConflict",
    "BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody",
})  # fmt: skip
_BUSY: Final = frozenset({"InternalError", "RequestTimeout", "ServiceUnavailable"})
_BUSY_STATUS: Final = frozenset({408, 423, 425, 429})
_FULL: Final = frozenset({
    "QuotaExceeded", "QuotaExceededException", "ServiceQuotaExceededException",
    "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage",
    "InsufficientCapacity", "StorageQuotaExceeded", "BucketQuotaExceeded",
})  # fmt: skip
_KEYS: Final = frozenset({
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSecurity", "NotSignedUp",
    "AccountProblem", "AuthFailure", "UnrecognizedClientException", "InvalidClientTokenId",
})  # fmt: skip
_TOKEN: Final = frozenset({"ExpiredToken", "InvalidToken", "TokenRefreshRequired"})
_REGION: Final = frozenset({
    "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException", "301", "302", "307",
})  # fmt: skip
_UNSUPPORTED: Final = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_CHECKSUM: Final = frozenset({
    "MissingContentLength", "411", "InvalidChunkSizeError", "XNotImplemented",
    "UnsupportedSignature",
})  # fmt: skip
_MISSING: Final = frozenset({"NoSuchKey", "404", "NoSuchVersion"})
_REGION_NAME: Final = re.compile(r"[a-z0-9-]{1,40}")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_SECRET_WORDS: Final = re.compile(r"AWS4|signature|authori[sz]ation:|security-token", re.I)


class S3Refusal(PlaceError):
    """A refusal that no class of ours fits; `error_code` is the server's own word for it."""

    def __init__(self, message: str, *, hint: str = "", error_code: str) -> None:
        super().__init__(message, hint=hint)
        self.error_code = error_code


class S3Denied(PlaceRefused):
    """403 AccessDenied: no permission, or the object is locked."""


class NoSuchUpload(PlaceError):
    """The multipart upload was completed or aborted before."""


class OutOfRange(PlaceError):
    """416: the object ends before the range."""


class S3Conflict(PlaceBusy):
    """409: another conditional request for the same object is under way."""


def from_answer(answer: Mapping[str, object], settings: S3Settings, name: str = "") -> PlaceError:
    """Return the PlaceError of an error answer as botocore parsed it (`ClientError.response`)."""
    said = _section(answer, "Error")
    metadata = _section(answer, "ResponseMetadata")
    headers = _section(metadata, "HTTPHeaders")
    status = metadata.get("HTTPStatusCode")
    code = str(said.get("Code", ""))
    if not _CODE.fullmatch(code):
        code = str(status)
    message = _harmless(str(said.get("Message", "")), settings)
    where = settings.where
    known = _by_code(code, status, where, name, message)
    if known is not None:
        return known
    if code in _REGION:
        return _wrong_region(settings, said, headers)
    if code in _NO_EFFECT or code in _BUSY or status in _BUSY_STATUS or _is_server_error(status):
        return PlaceBusy(
            f"{where} is busy or in trouble ({code}).",
            retry_after=_retry_after(headers),
            unknown=not (code in _NO_EFFECT or status == 429),
        )
    if status in (401, 403):
        return _denied(code, where, headers, message)
    if code in _CHECKSUM:
        return S3Refusal(
            f"{where} does not take uploads as they are sent now ({code}).",
            hint='Try another checksum setting, for example checksum = "when_required".',
            error_code=code,
        )
    return S3Refusal(
        f"{where} refuses the request ({code}{': ' + message if message else ''}).",
        hint="Are endpoint, bucket and settings right?",
        error_code=code,
    )


def _is_server_error(status: object) -> bool:
    return isinstance(status, int) and status >= 500


def _by_code(code: str, status: object, where: str, name: str, message: str) -> PlaceError | None:
    if code == "NoSuchBucket":
        return PlaceClosed(
            f"There is no such bucket: {where}.", hint="Make the bucket, or correct its name."
        )
    if code == "NoSuchUpload":
        return NoSuchUpload(f"{where} does not know the upload of {name} any more.")
    if code in _MISSING and name:
        return ObjectMissing(f"{name} is not in {where}.")
    if code in ("PreconditionFailed", "412"):
        return ObjectExists(f"{name} is already in {where}.")
    if code in ("InvalidRange", "416"):
        return OutOfRange(f"{name} in {where} ends before that range.")
    if code in ("ConditionalRequestConflict", "OperationAborted", "Conflict", "409"):
        return S3Conflict(f"{where} is busy with another request for {name}.", unknown=False)
    if code in _FULL or status == 507 or _speaks_of_quota(status, message):
        return PlaceFull(
            f"{where} has no room left, or a quota is reached ({code}).",
            hint="Make room or raise the quota, then run again.",
        )
    if code in ("EntityTooLarge", "413"):
        return S3Refusal(
            f"{where} takes no upload that large ({code}).",
            hint="Lower part_size, or raise the limit of the server or its proxy.",
            error_code=code,
        )
    if code in _UNSUPPORTED:
        return S3Refusal(
            f"{where} does not know a request that vaultd needs ({code}).",
            hint="`vaultd check` measures what it knows and sets vaultd to it.",
            error_code=code,
        )
    return None


def _speaks_of_quota(status: object, message: str) -> bool:
    words = message.lower()
    return status in (400, 403, 413) and ("quota" in words or "cap exceeded" in words)


def _denied(code: str, where: str, headers: Mapping[str, object], message: str) -> PlaceRefused:
    difference = _clock_difference(headers)
    if code == "RequestTimeTooSkewed" or (
        code not in _KEYS and difference is not None and abs(difference) > _SKEW_SECONDS
    ):
        known = "" if difference is None else f" by {_duration(difference)}"
        return PlaceClosed(
            f"{where} refuses us because its clock and this machine's differ{known}.",
            hint="Set this machine's clock (NTP), then run again.",
        )
    if code in _KEYS:
        return PlaceClosed(
            f"{where} does not accept these keys ({code}).",
            hint="Check access key and secret key, and that they are for this endpoint.",
        )
    if code in _TOKEN:
        return PlaceClosed(
            f"{where} does not accept the session token ({code}).",
            hint="It has expired, perhaps; get new temporary keys.",
        )
    return S3Denied(
        f"{where} does not let us do that ({code}{': ' + message if message else ''}).",
        hint="May these keys list, read, write and delete in this bucket?",
    )


def _wrong_region(
    settings: S3Settings, said: Mapping[str, object], headers: Mapping[str, object]
) -> PlaceRefused:
    region = str(headers.get("x-amz-bucket-region") or said.get("Region") or "")
    now = settings.region or "none"
    if _REGION_NAME.fullmatch(region) and region != settings.region:
        return PlaceClosed(
            f"{settings.where} is in the region {region}, but the region set is {now}.",
            hint=f'Set region = "{region}".',
        )
    return PlaceClosed(
        f"{settings.where} is in another region than the one set ({now}).",
        hint="Set the bucket's region, and an endpoint of that region.",
    )


def _section(answer: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = answer.get(key)
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def _harmless(text: str, settings: S3Settings) -> str:
    """Return a server's sentence, short and without anything that might be secret."""
    secrets = (settings.access_key, settings.secret_key, settings.session_token)
    if _SECRET_WORDS.search(text) or any(secret and secret in text for secret in secrets):
        return ""
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip().rstrip(".")


def _retry_after(headers: Mapping[str, object]) -> float | None:
    text = str(headers.get("retry-after", ""))
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan if (moment := _date(text)) is None else _from_now(moment)
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER) if math.isfinite(seconds) else None


def _clock_difference(headers: Mapping[str, object]) -> float | None:
    """Return how many seconds the server's clock is before ours."""
    moment = _date(str(headers.get("date", "")))
    found = math.nan if moment is None else _from_now(moment)
    return None if math.isnan(found) else found


def _from_now(moment: datetime) -> float:
    try:
        return (moment - clock.now()).total_seconds()
    except OverflowError:
        return math.nan


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _duration(seconds: float) -> str:
    minutes = round(abs(seconds) / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"
