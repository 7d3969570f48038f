"""Uploads: never more at once than there is room for, whatever they are and however they end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.backup.engine.upload_limit import MOST_BYTES, Uploads


class Watcher:
    """Uploads that count themselves and each other."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.count = self.bytes = self.most = self.most_bytes = 0

    def send(self, size: int, fails: bool) -> int:
        with self.lock:
            self.count += 1
            self.bytes += size
            self.most = max(self.most, self.count)
            if self.count > 1:
                self.most_bytes = max(self.most_bytes, self.bytes)
        with self.lock:
            self.count -= 1
            self.bytes -= size
        if fails:
            raise KeyError
        return size


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.integers(0, MOST_BYTES * 3 // 2), st.booleans()), max_size=40),
)
def test_as_many_and_as_many_bytes_as_there_is_room_for(
    most: int, wanted: list[tuple[int, bool]]
) -> None:
    watcher = Watcher()
    with ThreadPoolExecutor(8) as pool:
        uploads = Uploads(pool, most)
        started = []
        for size, fails in wanted:
            uploads.take_room(size)
            started.append(uploads.start(size, lambda s=size, f=fails: watcher.send(s, f)))
    for (size, fails), upload in zip(wanted, started, strict=True):
        if fails:
            with pytest.raises(KeyError):
                upload.result()
        else:
            assert upload.result() == size
    assert watcher.most <= most
    assert watcher.most_bytes <= MOST_BYTES


def test_room_that_is_given_back_is_there_for_the_next() -> None:
    with ThreadPoolExecutor(1) as pool:
        uploads = Uploads(pool, 1)
        for _ in range(3):
            uploads.take_room(MOST_BYTES)
            uploads.free_room(MOST_BYTES)
        uploads.take_room(1)
        assert uploads.start(1, lambda: "sent").result() == "sent"
