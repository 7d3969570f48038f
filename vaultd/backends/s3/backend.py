"""S3 (`s3://`): conditional create, multipart uploads, Object Lock; AWS and the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO, Final

from vaultd import clock
from vaultd.backends.base import Finding, ObjectInfo, Space, check_name
from vaultd.backends.s3 import lock as s3_lock
from vaultd.backends.s3 import probe as s3_probe
from vaultd.backends.s3 import reading as s3_reading
from vaultd.backends.s3 import upload as s3_upload
from vaultd.backends.s3.address import Connect
from vaultd.backends.s3.client import S3Client
from vaultd.backends.s3.settings import MIN_PART, S3Settings
from vaultd.backends.trial import Trial

__all__ = ["S3Backend", "S3Settings"]

_TRIAL_LOCK: Final = 15.0  # seconds; long enough to store all that a trial does


class S3Backend:
    """Objects as keys of one bucket, below a prefix; one attempt a verb, for many threads.

    boto3 is loaded at the first request. `connect(host, port, seconds)`, where given, makes
    all connections, and may raise PlaceRefused.
    """

    def __init__(self, settings: S3Settings, *, connect: Connect | None = None) -> None:
        self.settings = settings
        self._client = S3Client(settings, connect)
        self._connect = connect

    def __repr__(self) -> str:
        return f"S3Backend({self.settings.where})"

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create. What `data.read` raises is passed on.

        Up to `part_size` bytes it is one request (two where the place ignores conditions), else
        one for each part and four more.
        """
        s3_upload.create(self._client, check_name(name), data, size)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read. Without `length` at most 1 GiB."""
        return s3_reading.read(self._client, check_name(name), offset, length)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name, one request for every 1,000; see Backend.list."""
        yield from s3_reading.list_objects(self._client, prefix)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete. PlaceError says until when one is locked.

        Where the bucket keeps versions and no lock is asked for, the deleted one is hidden only.
        """
        s3_lock.delete(self._client, check_name(name))

    def space(self) -> Space:
        """Return unknown: S3 has no request for it."""
        return Space(None, None)

    def probe(self) -> Sequence[Finding]:
        """Measure what the place honours with these settings; remove old, unfinished uploads."""
        return s3_probe.probe(self._client, self._connect)

    def for_trial(self) -> Trial:
        """Return the same place with the smallest parts, and locks of some seconds."""
        settings, locked = replace(self.settings, part_size=MIN_PART), 0.0
        if settings.lock_mode is not None:
            locked = _TRIAL_LOCK
            ahead = self._client.server_time() - clock.now()
            settings = replace(settings, lock_period=ahead + timedelta(seconds=locked))
        return Trial(S3Backend(settings, connect=self._connect), MIN_PART + 1, locked)

    def adapt(self) -> S3Settings:
        """Return the settings with the checksum mode, condition and region that work here.

        Writes and removes some small objects. Raises PlaceError where nothing works.
        """
        return s3_probe.adapt(self.settings, self._connect)

    def close(self) -> None:
        """Close idle connections; the next request opens new ones."""
        self._client.close()
