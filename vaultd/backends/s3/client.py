"""The boto3 client of one S3 place: made once, at the first request; one attempt a request."""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol, cast

from vaultd import clock
from vaultd.backends.s3.address import Connect
from vaultd.backends.s3.errors import from_answer
from vaultd.backends.s3.http import S3Http
from vaultd.backends.s3.settings import S3Settings
from vaultd.backends.s3.transport_errors import from_library
from vaultd.errors import PlaceError

_DEFAULT_REGION: Final = "us-east-1"  # what stores without regions sign for


class Body(Protocol):
    """The body of an object that is being read."""

    def read(self, amt: int) -> bytes:
        """Return some bytes, at most `amt`; none at the end."""
        ...

    def close(self) -> None:
        """Give up what is not read yet."""
        ...


class Answer:
    """What a request returned; fields of another type than asked for count as absent."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        self._fields = fields

    def text(self, field: str) -> str:
        """Return a text, empty where there is none."""
        found = self._fields.get(field)
        return found if isinstance(found, str) else ""

    def number(self, field: str) -> int | None:
        """Return a whole number."""
        found = self._fields.get(field)
        return found if isinstance(found, int) else None

    def moment(self, field: str) -> datetime | None:
        """Return an aware time."""
        found = self._fields.get(field)
        return found if isinstance(found, datetime) and found.tzinfo is not None else None

    def parts(self, field: str) -> list[Answer]:
        """Return the entries of a list."""
        found = self._fields.get(field)
        entries = found if isinstance(found, list) else [found]
        return [Answer(each) for each in entries if isinstance(each, Mapping)]

    def header(self, name: str) -> str:
        """Return a header of the HTTP answer, empty where there is none."""
        found = self._fields.get("ResponseMetadata")
        headers = found.get("HTTPHeaders") if isinstance(found, Mapping) else None
        value = headers.get(name) if isinstance(headers, Mapping) else None
        return value if isinstance(value, str) else ""

    @property
    def status(self) -> int | None:
        """The HTTP status."""
        found = self._fields.get("ResponseMetadata")
        status = found.get("HTTPStatusCode") if isinstance(found, Mapping) else None
        return status if isinstance(status, int) else None

    @property
    def body(self) -> Body:
        """The body of get_object."""
        return cast("Body", self._fields["Body"])


class S3Client:
    """Requests to one bucket, thread safe; every failure is a PlaceError."""

    def __init__(self, settings: S3Settings, connect: Connect | None = None) -> None:
        self.settings = settings
        self._connect = connect
        self._lock = threading.Lock()
        self._opened: tuple[object, S3Http] | None = None

    def call(self, operation: str, name: str = "", /, **parameters: object) -> Answer:
        """Make one request (`put_object`, …) on the bucket; `name` stands in sentences.

        Raises PlaceError and its kin, also those of s3_errors.
        """
        failure: PlaceError
        try:
            client, _ = self._open()
            verb = getattr(client, operation)
            return Answer(verb(Bucket=self.settings.bucket, **parameters))
        except PlaceError:
            raise
        except Exception as error:  # noqa: BLE001 - boto3 and a strange server raise anything
            answer = getattr(error, "response", None)
            if isinstance(answer, Mapping) and "Error" in answer:
                failure = from_answer(answer, self.settings, name)
            else:
                failure = from_library(error, self.settings)
        # Outside of the handler, so that no text of a library hangs on to it.
        raise failure

    @contextmanager
    def flipping(self, key: str) -> Iterator[None]:
        """For the probe: what is sent to `key` is damaged on the way."""
        with self._open()[1].flipping(key):
            yield

    def server_time(self) -> datetime:
        """Return the server's clock, ours where it does not tell. Raises PlaceError."""
        date = self.call("list_objects_v2", MaxKeys=1).header("date")
        try:
            moment = parsedate_to_datetime(date)
        except (ValueError, TypeError, IndexError, OverflowError):
            return clock.now()
        return moment if moment.tzinfo is not None else clock.now()

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        with self._lock:
            if self._opened is not None:
                self._opened[1].close()
                self._opened = None

    def _open(self) -> tuple[object, S3Http]:
        with self._lock:
            if self._opened is None:
                self._opened = self._make()
            return self._opened

    def _make(self) -> tuple[object, S3Http]:
        settings = self.settings
        for library in ("boto3", "botocore", "urllib3"):
            # What they log at lower levels has headers and signatures in it.
            logging.getLogger(library).setLevel(logging.WARNING)
        session = importlib.import_module("boto3.session").Session(
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=settings.session_token,
            profile_name=settings.profile,
        )
        client = session.client(
            "s3",
            endpoint_url=settings.endpoint,
            region_name=settings.region or session.region_name or _DEFAULT_REGION,
            config=_config(settings),
        )
        http = S3Http(settings, self._connect)
        client.meta.events.register("before-send.s3", http.send)
        return client, http


def _config(settings: S3Settings) -> object:
    needed = "when_supported" if settings.checksum == "when_supported" else "when_required"
    styles = {None: "auto", True: "path", False: "virtual"}
    return importlib.import_module("botocore.config").Config(
        signature_version="s3v4",
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=settings.max_pool,
        retries={"total_max_attempts": 1},
        request_checksum_calculation=needed,
        response_checksum_validation="when_required",
        s3={"addressing_style": styles[settings.path_style], "payload_signing_enabled": True},
    )
