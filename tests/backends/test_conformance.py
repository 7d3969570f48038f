"""The conformance suite on every backend there is."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.backends.conformance import BackendConformance, names, put
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend()


class TestFolder(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return FolderBackend(tmp_path / "vaults", create=True)

    @pytest.fixture(autouse=True)
    def _no_temporary_is_left(self, tmp_path: Path) -> object:
        yield
        assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


class _Mounted(TestFolder):
    """File systems that cannot be mounted on every machine that runs the tests, by their calls."""

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        findings = list(backend.probe())
        assert {finding.what for finding in findings if not finding.fine} == self.wrong
        assert not [finding for finding in findings if finding.grave and not finding.fine]
        assert names(backend) == ["a/b"]

    wrong: frozenset[str] = frozenset()


class TestFolderOnFat(_Mounted):
    wrong = frozenset({"create without replacing"})

    @pytest.fixture(autouse=True, params=[errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
    def _no_links(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        monkeypatch.setattr(os, "link", _failing(request.param))


class TestFolderOnCifs(_Mounted):
    """Neither links, nor a sync of folders (EINVAL before Linux 4.17, as on 9p and vboxsf)."""

    wrong = frozenset({"create without replacing", "sync"})

    @pytest.fixture(autouse=True)
    def _no_links_no_sync(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sync = os.fsync

        def only_files(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            sync(descriptor)

        monkeypatch.setattr(os, "link", _failing(errno.EOPNOTSUPP))
        monkeypatch.setattr(os, "fsync", only_files)


class TestFolderOnNfs(_Mounted):
    """A link's answer was lost; the repeated request finds its own effect."""

    @pytest.fixture(autouse=True)
    def _links_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        link = os.link

        def twice(source: str, to: str) -> None:
            link(source, to)
            link(source, to)

        monkeypatch.setattr(os, "link", twice)

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        assert [finding for finding in backend.probe() if not finding.fine] == []
        assert names(backend) == ["a/b"]


def _failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("lie", [lambda source, to: None, lambda source, to: Path(to).touch()])
def test_a_link_that_is_none_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: Callable[[str, str], None]
) -> None:
    backend = FolderBackend(tmp_path)
    monkeypatch.setattr(os, "link", lie)
    with pytest.raises(PlaceError, match="was written, and there is"):
        put(backend, "a/b", b"hello")


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.EIO, PlaceError), (errno.ESTALE, PlaceBusy), (errno.ETIMEDOUT, PlaceBusy)],
)
def test_a_sync_that_fails_is_an_error_and_a_server_that_is_away_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[PlaceError]
) -> None:
    backend = FolderBackend(tmp_path)
    monkeypatch.setattr(os, "fsync", _failing(number))
    with pytest.raises(PlaceError) as raised:
        put(backend, "a/b", b"hello")
    assert type(raised.value) is kind
    assert names(backend) == []


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR, stat.S_IFCHR])
def test_what_is_no_file_under_an_objects_name_is_said_at_once(tmp_path: Path, kind: int) -> None:
    backend = FolderBackend(tmp_path)
    put(backend, "v/b", b"x")
    if kind == stat.S_IFDIR:
        (tmp_path / "v/a").mkdir()
    else:
        try:
            os.mknod(tmp_path / "v/a", kind | 0o600, os.makedev(1, 5))  # /dev/zero, without an end
        except PermissionError:
            pytest.skip("only root makes devices")
    assert names(backend) == ["v/b"]
    with pytest.raises(PlaceError, match=r"v/a is no(t in| file)"):
        backend.read("v/a")
    with pytest.raises(PlaceError, match="is no file") as raised:
        backend.create("v/a", io.BytesIO(b"hello"), 5)
    assert not isinstance(raised.value, ObjectExists)
    backend.delete("v/a")
    assert [finding for finding in backend.probe() if not finding.fine] == []
