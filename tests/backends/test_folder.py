"""What only a folder can suffer: kills, full, read-only and vanished disks, links, leftovers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.backends.conformance import names, put
from vaultd.backends.folder.backend import FolderBackend
from vaultd.errors import ObjectExists, PlaceError, PlaceFull

_WRITER = """
import io, itertools, pathlib, sys
from vaultd.backends.folder.backend import FolderBackend
place = FolderBackend(pathlib.Path(sys.argv[1]))
content = b"x" * 300_000
print("ready", flush=True)
for number in itertools.count():
    place.create(f"v/{sys.argv[2]}-{number}", io.BytesIO(content), len(content))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "vaults"


@pytest.fixture
def backend(root: Path) -> FolderBackend:
    return FolderBackend(root, create=True)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a tmpfs with these options, or change them with `remount,…`; needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def run(options: str) -> Path:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "vaultd-test", folder],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"a disk cannot be mounted here: {done.stderr.strip()}")
        return folder

    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk to fill")
    yield run
    while os.path.ismount(folder):
        subprocess.run(["umount", folder], check=True)


def test_kill_minus_nine_at_any_moment_leaves_only_complete_objects(
    backend: FolderBackend, root: Path
) -> None:
    for turn in range(15):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(root), str(turn)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            time.sleep(0.001 * turn)
            writer.send_signal(signal.SIGKILL)
    found = list(backend.list())
    assert {info.size for info in found} <= {300_000}
    assert all(backend.read(info.name) == b"x" * 300_000 for info in found)
    assert names(backend) == sorted(names(backend))


def test_a_full_disk_is_called_full_and_nothing_is_left_on_it(mount: Callable[[str], Path]) -> None:
    disk = FolderBackend(mount("size=2m"))
    put(disk, "v/fits", b"x" * 1_000_000)
    with pytest.raises(PlaceFull, match="full"):
        put(disk, "v/large", b"x" * 1_500_000)
    assert names(disk) == ["v/fits"]
    put(disk, "v/fits-too", b"x" * 500_000)
    assert disk.read("v/fits") == b"x" * 1_000_000
    free = disk.space().free
    assert free is not None
    assert free < 600_000


def test_a_disk_without_inodes_is_called_full(mount: Callable[[str], Path]) -> None:
    disk = FolderBackend(mount("size=2m,nr_inodes=4"))
    put(disk, "v/one", b"")
    with pytest.raises(PlaceFull):
        put(disk, "v/two", b"")
    with pytest.raises(PlaceFull):
        disk.probe()


def test_a_read_only_disk_still_reads_and_says_that_it_cannot_be_written(
    mount: Callable[[str], Path],
) -> None:
    disk = FolderBackend(mount("size=2m"))
    put(disk, "v/one", b"x")
    mount("remount,ro")
    with pytest.raises(PlaceError, match=r"cannot be written .*Read-only"):
        put(disk, "v/two", b"")
    with pytest.raises(PlaceError, match=r"cannot be changed .*Read-only"):
        disk.delete("v/one")
    with pytest.raises(PlaceError, match=r"cannot be written .*Read-only"):
        disk.probe()
    disk.delete("v/was-never-there")
    with pytest.raises(ObjectExists):
        put(disk, "v/one", b"")
    assert disk.read("v/one") == b"x"
    assert names(disk) == ["v/one"]


def test_a_disk_that_is_unmounted_meanwhile_is_missed(mount: Callable[[str], Path]) -> None:
    folder = mount("size=2m")
    disk = FolderBackend(folder)
    put(disk, "v/one", b"x")
    subprocess.run(["umount", folder], check=True)
    with pytest.raises(PlaceError, match=r"another one before.*mounted\?"):
        put(disk, "v/two", b"x")
    with pytest.raises(PlaceError, match="another one before"):
        names(disk)
    assert list(folder.iterdir()) == []
    mount("size=2m")
    (folder / "other").mkdir()
    assert names(disk) == []


def test_a_folder_that_is_not_there_is_never_made_silently(root: Path) -> None:
    backend = FolderBackend(root)
    actions: list[Callable[[], object]] = [
        lambda: put(backend, "v/one", b"x"),
        lambda: backend.read("v/one"),
        lambda: names(backend),
        lambda: backend.delete("v/one"),
        backend.space,
        backend.probe,
    ]
    for action in actions:
        with pytest.raises(PlaceError, match=r"is not there.*mounted\?"):
            action()
    assert not root.exists()


def test_a_file_is_no_place(root: Path) -> None:
    root.write_bytes(b"")
    with pytest.raises(PlaceError, match="is not a folder"):
        FolderBackend(root).probe()
    with pytest.raises(PlaceError, match="cannot be made"):
        FolderBackend(root, create=True)


def test_a_folder_of_somebody_else_is_a_clear_sentence(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        # Root may do everything, so a child becomes somebody else.
        code = (
            "import os, pathlib, sys\n"
            "from vaultd.backends.folder.backend import FolderBackend\n"
            "from vaultd.errors import PlaceError\n"
            "os.setgid(65534); os.setuid(65534)\n"  # nobody may not read every Python's library
            "place = FolderBackend(pathlib.Path(sys.argv[1]))\n"
            "for action in (lambda: list(place.list()), lambda: place.read('a'), place.probe):\n"
            "    try:\n"
            "        action()\n"
            "    except PlaceError as error:\n"
            "        print(error)\n"
        )
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        done = subprocess.run(
            [sys.executable, "-c", code, closed / "vaults"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        sentences = done.stdout.splitlines()
    else:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o000)
        with pytest.raises(PlaceError) as raised:
            FolderBackend(closed / "vaults").probe()
        sentences = [str(raised.value)] * 3
    assert len(sentences) == 3
    assert all("Permission denied" in sentence for sentence in sentences)


def test_links_do_not_lead_out_of_the_folder(
    backend: FolderBackend, root: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"not ours")
    (root / "way").symlink_to(outside)
    (root / "secret").symlink_to(outside / "secret")
    (root / "nowhere").symlink_to(outside / "new")
    for name in ("way/secret", "secret", "way/new", "nowhere"):
        with pytest.raises(PlaceError, match="symbolic link"):
            backend.read(name)
        with pytest.raises(PlaceError, match="symbolic link"):
            put(backend, name, b"x")
        with pytest.raises(PlaceError, match="symbolic link"):
            backend.delete(name)
    assert names(backend) == []
    with pytest.raises(PlaceError, match="symbolic link"):
        names(backend, "way/")
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_the_place_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    root.symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    backend = FolderBackend(root, create=True)
    put(backend, "v/one", b"x")
    assert (tmp_path / "real" / "v" / "one").read_bytes() == b"x"


def test_foreign_files_are_neither_listed_nor_touched(backend: FolderBackend, root: Path) -> None:
    put(backend, "v/one", b"x")
    for name in ("lost+found", ".hidden", "README.txt", "v/.tmp-young", "v/Übung", "v/One"):
        (root / name).write_bytes(b"foreign")
    os.mkfifo(root / "v" / "pipe")
    backend.probe()
    assert names(backend) == ["v/one"]
    assert (root / "v" / ".tmp-young").exists()


def test_a_probe_removes_what_killed_writers_left_a_day_ago(
    backend: FolderBackend, root: Path
) -> None:
    put(backend, "v/one", b"x")
    old, young = root / "v" / ".tmp-old", root / "v" / ".tmp-young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    assert all(finding.fine for finding in backend.probe())
    assert not old.exists()
    assert young.exists()


def test_a_name_cannot_be_an_object_and_a_folder(backend: FolderBackend) -> None:
    put(backend, "v", b"x")
    with pytest.raises(PlaceError):
        put(backend, "v/one", b"x")
    assert names(backend) == ["v"]


def test_only_the_owner_may_look(backend: FolderBackend, root: Path) -> None:
    put(backend, "v/one", b"x")
    assert root.stat().st_mode & 0o777 == 0o700
    assert (root / "v").stat().st_mode & 0o777 == 0o700
    assert (root / "v" / "one").stat().st_mode & 0o777 == 0o600


def test_a_listing_holds_little_more_than_names(backend: FolderBackend, root: Path) -> None:
    put(backend, "v/one", b"x")
    for number in range(5_000):
        (root / "v" / f"{number:064x}").touch()
    tracemalloc.start()
    assert sum(1 for _ in backend.list()) == 5_001
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 400 * 5_000
