"""Whatever a backend or its library raises comes out as a PlaceError; the caller's own errors do not."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Final

import botocore.exceptions
import httpx
import msgspec
import pytest

from tests.backends.conformance import FailingReader, TroubleError
from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.memory import MemoryBackend
from vaultd.backends.transport.http_errors import retry_after
from vaultd.backends.wrappers.retrying import RetryingBackend
from vaultd.errors import DamageError, ObjectMissing, PlaceError, UsageError

SECRET: Final = "the password is hunter2"
FOREIGN: Final = (
    OverflowError(SECRET), ValueError(SECRET), KeyError(SECRET), AttributeError(SECRET),
    TypeError(SECRET), IndexError(SECRET), RecursionError(SECRET), MemoryError(SECRET),
    AssertionError(SECRET), StopIteration(SECRET), RuntimeError(SECRET), OSError(5, SECRET),
    EOFError(SECRET), LookupError(SECRET), NotImplementedError(SECRET), TimeoutError(SECRET),
    UnicodeDecodeError("utf-8", b"x", 0, 1, SECRET), struct.error(SECRET),
    httpx.InvalidURL(SECRET), httpx.DecodingError(SECRET), msgspec.DecodeError(SECRET),
    botocore.exceptions.BotoCoreError(), DamageError("A vault's error."),
)  # fmt: skip
VERBS: Final[dict[str, Callable[[Backend], object]]] = {
    "create": lambda place: place.create("a", io.BytesIO(b"x"), 1),
    "read": lambda place: place.read("a"),
    "list": lambda place: list(place.list()),
    "delete": lambda place: place.delete("a"),
    "space": lambda place: place.space(),
    "probe": lambda place: place.probe(),
}


def _raising(error: BaseException) -> Callable[..., object]:
    def call(*_: object, **__: object) -> object:
        raise error

    return call


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_any_exception_of_any_verb_is_translated(verb: str, error: Exception) -> None:
    place = MemoryBackend()
    setattr(place, verb, _raising(error))
    with pytest.raises(PlaceError) as raised:
        VERBS[verb](RetryingBackend(place, "main"))
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_an_exception_amid_a_listing_is_translated(error: Exception) -> None:
    class Breaking(MemoryBackend):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from super().list(prefix)
            raise error

    place = Breaking()
    place.create("a", io.BytesIO(b"x"), 1)
    found = RetryingBackend(place, "main").list()
    assert next(found).name == "a"
    with pytest.raises(PlaceError):
        next(found)


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_said_on_purpose_passes_as_it_is(verb: str) -> None:
    for error in (ObjectMissing("x"), UsageError("x"), KeyboardInterrupt(), SystemExit(1)):
        place = MemoryBackend()
        setattr(place, verb, _raising(error))
        with pytest.raises(type(error)) as raised:
            VERBS[verb](RetryingBackend(place, "main"))
        assert raised.value is error


def test_an_error_of_the_callers_data_is_the_callers() -> None:
    for error in (TroubleError("mine"), KeyError("mine"), DamageError("mine"), PlaceError("mine")):
        place = RetryingBackend(MemoryBackend(), "main")
        with pytest.raises(type(error)) as raised:
            place.create("a", FailingReader(1, error), 5)  # type: ignore[arg-type]
        assert raised.value is error
        assert not place.resting


@pytest.mark.parametrize(
    "text",
    ["Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 99 Foo", "Thu, 01 Jan 0000 00:00:00 GMT", "1e999",
     "-1e999", "nan", "9" * 5000, "Wed, 21 Oct 2015 07:28:00 +9999999999", "\x00", "(", ",,,,",
     "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"],
)  # fmt: skip
def test_no_retry_after_is_too_odd(text: str) -> None:
    found = retry_after({"retry-after": text})
    assert found is None or 0 <= found <= 86400


def test_a_date_in_retry_after_counts_from_now() -> None:
    text = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert retry_after({"retry-after": text}, parsedate_to_datetime(text)) == 0
