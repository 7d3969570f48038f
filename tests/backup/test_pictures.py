"""Pictures: encrypted once, referenced from records, never read or uploaded without need."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO, cast

from tests.backup.test_run import Watched, archives
from tests.backup.world import World
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import PlaceError

PICTURE = b"\x89PNG" + bytes(range(256)) * 3000


def blobs(backend: MemoryBackend) -> list[str]:
    return sorted(name for name in backend.objects if "/blob-" in name)


def picture(world: World, photo: str = "f1", target: str = "main") -> bytes:
    snapshot = world.snapshot(target=target)
    for record in snapshot.records(["photo"]):
        if record.id == photo and record.body is not None:
            return b"".join(snapshot.open_blob(record.body))
    raise AssertionError("no such photo")


def uploads(world: World, folder: Path) -> None:
    """Pictures are real files from now on, with inode and mtime."""
    folder.mkdir()
    for name, content in world.source.files.items():
        (folder / name).write_bytes(content)

    def open_file(name: str) -> BinaryIO:
        return (folder / name).open("rb")

    world.source.open_file = open_file  # type: ignore[method-assign]


def test_a_picture_is_stored_and_comes_back(world: World) -> None:
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    report = world.run()
    assert picture(world) == PICTURE
    assert report.accounts[0].targets[0].blobs == len(world.memory.objects[blobs(world.memory)[0]])
    assert PICTURE not in b"".join(world.memory.objects.values())
    assert world.run().unchanged


def test_an_unchanged_file_is_not_read_again(world: World, tmp_path: Path) -> None:
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    folder = tmp_path / "uploads"
    uploads(world, folder)
    world.run()
    path = folder / "a.png"
    status = path.stat()
    path.write_bytes(bytes(len(PICTURE)))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    world.source.looks += 1
    assert world.run().unchanged  # same size, time and inode: taken for the same
    world.source.looks += 1
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert world.run().changed
    assert picture(world) == bytes(len(PICTURE))


def test_a_touched_file_is_read_once_and_causes_no_archive(world: World, tmp_path: Path) -> None:
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    uploads(world, tmp_path / "uploads")
    world.run()
    os.utime(tmp_path / "uploads" / "a.png")
    world.source.looks += 1
    assert world.run().unchanged
    enrollment = world.state.enrollments()[0]
    point = world.state.vaults.point(enrollment.id, "main")
    assert world.run().unchanged
    assert world.state.vaults.point(enrollment.id, "main") == point


def test_a_changed_text_does_not_upload_the_picture_again(world: World) -> None:
    watched = Watched()
    world.targets["main"] = watched
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    world.run()
    watched.requests = 0
    record = world.alice.records["photo", "f1"]
    world.alice.records["photo", "f1"] = type(record)(
        "photo", "f1", {"name": "a.png", "text": "new"}, file="a.png"
    )
    assert world.run().accounts[0].targets[0].blobs == 0
    assert watched.requests == 2  # one list, one create: the archive
    assert picture(world) == PICTURE


def test_a_missing_file_is_noted_and_stored_when_it_comes_back(world: World) -> None:
    world.alice.photo("f1", "a.png")
    report = world.run()
    assert report.failed == []
    assert "1 picture file missing" in report.accounts[0].notes[0]
    assert world.restored()["photo", "f1"]["blob_missing"] is True
    world.source.files["a.png"] = PICTURE
    world.run()
    assert picture(world) == PICTURE


def test_a_folder_that_is_not_mounted_takes_no_picture_out_of_the_vault(world: World) -> None:
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    world.run()
    world.source.files.clear()
    report = world.run()
    assert report.unchanged
    assert "the vault keeps the copies" in report.accounts[0].notes[0]
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    assert picture(world) == PICTURE


def test_a_file_that_breaks_while_it_is_read_is_a_missing_one(world: World) -> None:
    class Breaking:
        def __enter__(self) -> Breaking:
            return self

        def __exit__(self, *_: object) -> None: ...

        def fileno(self) -> int:
            raise OSError

        def read(self, size: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    world.source.open_file = lambda name: cast(BinaryIO, Breaking())  # type: ignore[method-assign]
    world.alice.photo("f1", "a.png")
    assert world.run().failed == []
    assert world.restored()["photo", "f1"]["blob_missing"] is True


def test_two_photos_with_the_same_content_share_one_object(world: World) -> None:
    world.source.files.update({"a.png": PICTURE, "b.png": PICTURE})
    world.alice.photo("f1", "a.png")
    world.alice.photo("f2", "b.png")
    world.run()
    assert len(blobs(world.memory)) == 1
    assert picture(world, "f2") == PICTURE


def test_each_target_gets_every_picture_and_a_failing_one_fails_alone(world: World) -> None:
    broken, fine = Watched(), MemoryBackend()
    world.targets.clear()
    world.targets.update(broken=broken, fine=fine)
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    broken.error = PlaceError("The place is away.")
    assert world.run().failed
    assert picture(world, target="fine") == PICTURE
    broken.error = None
    assert not world.run().failed
    assert picture(world, target="broken") == PICTURE
    assert archives(fine) == [1]


def test_pictures_of_a_failed_archive_are_not_uploaded_again(world: World) -> None:
    class NoArchives(Watched):
        refuse = True
        pictures = 0

        def create(self, name: str, data: BinaryIO, size: int) -> None:
            if "/blob-" in name:
                self.pictures += 1
            elif self.refuse:
                raise PlaceError("The place is away.")
            super().create(name, data, size)

    place = NoArchives()
    world.targets["main"] = place
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    assert world.run().failed
    place.refuse = False
    assert world.run().changed
    assert place.pictures == 1
    assert picture(world) == PICTURE


def test_more_pictures_than_are_put_off_until_the_end_are_all_stored(world: World) -> None:
    for number in range(520):
        world.source.files[f"{number}.png"] = f"picture {number}".encode()
        world.alice.photo(f"f{number}", f"{number}.png")
    world.run()
    assert len(blobs(world.memory)) == 520
    assert picture(world, "f519") == b"picture 519"
