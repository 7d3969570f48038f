"""One object into a Dropbox: in one request, or in parts; never replacing, and checked."""

from __future__ import annotations

from typing import BinaryIO, Final

from vaultd.backends.dropbox.api import Anything, DropboxApi, Entry, Session
from vaultd.backends.dropbox.content_hash import ContentHash, content_hash
from vaultd.errors import ObjectExists, PlaceError

_PIECE: Final = 1024 * 1024
_DOING: Final = "store an object"


class Source:
    """Exactly `size` bytes of `data`, which may trickle and need not be seekable."""

    def __init__(self, data: BinaryIO, size: int) -> None:
        self.left = size
        self._data, self._size = data, size

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, or what is left.

        Raises what `data.read` raises, and PlaceError for data of another length; the end is
        looked at before the last bytes are given away.
        """
        pieces, wanted = [], min(count, self.left)
        while wanted:
            piece = self._data.read(min(wanted, _PIECE))
            if not piece:
                raise PlaceError(f"The data ended {self.left} bytes before its promised size.")
            pieces.append(piece)
            wanted -= len(piece)
            self.left -= len(piece)
        if not self.left and self._data.read(1):
            raise PlaceError(f"The data is longer than its promised {self._size} bytes.")
        return b"".join(pieces)


class Upload:
    """The upload of one object `name` to the absolute `path`."""

    def __init__(self, api: DropboxApi, name: str, path: str) -> None:
        self._api, self._name, self._path = api, name, path
        self._where = api.http.settings.where

    def _commit(self) -> dict[str, object]:
        # strict_conflict: without it, a file that is there with the same content is no conflict.
        return {
            "path": self._path,
            "mode": "add",
            "autorename": False,
            "strict_conflict": True,
            "mute": True,  # no notification on the user's devices
        }

    def whole(self, source: Source) -> None:
        """Store it with one request. Raises ObjectExists, PlaceError."""
        content = source.take(source.left)
        expected = content_hash(content)
        stored = self._api.upload(
            "files/upload",
            {**self._commit(), "content_hash": expected},
            content,
            Entry,
            _DOING,
            special=self.conflict,
            unknown=True,
        )
        self._check(stored, expected, len(content))

    def in_parts(self, source: Source, part: int) -> None:
        """Store it in parts of `part` bytes, of which nothing is visible before the last.

        Dropbox forgets an upload that is not finished after some days. Raises ObjectExists,
        PlaceError.
        """
        content = source.take(part)
        whole, offset = ContentHash(), len(content)
        whole.update(content)
        session = self._api.upload(
            "files/upload_session/start",
            {"close": False, "content_hash": content_hash(content)},
            content,
            Session,
            _DOING,
        ).session_id
        while True:
            content = source.take(part)
            whole.update(content)
            cursor = {"session_id": session, "offset": offset}
            argument: dict[str, object] = {"cursor": cursor, "content_hash": content_hash(content)}
            if not source.left:
                break
            self._api.upload(
                "files/upload_session/append_v2", {**argument, "close": False}, content,
                type(None), _DOING,
            )  # fmt: skip
            offset += len(content)
        stored = self._api.upload(
            "files/upload_session/finish",
            {**argument, "commit": self._commit()},
            content,
            Entry,
            _DOING,
            special=self.conflict,
            unknown=True,
        )
        self._check(stored, whole.hexdigest(), offset + len(content))

    def conflict(self, tags: tuple[str, ...]) -> PlaceError | None:
        """Return the error of a name that is taken; None for other errors."""
        if tags[-2:] == ("conflict", "file"):
            return ObjectExists(f"{self._name} is already in {self._where}.")
        if "conflict" in tags:
            return PlaceError(
                f"{self._name} cannot be stored in {self._where}: a folder has this name, or a "
                "file has the name of a folder above it."
            )
        return None

    def _check(self, stored: Entry, expected: str, size: int) -> None:
        # By its last part: Dropbox has its own idea of the lower case of the folders above.
        named = (stored.path_lower or "").endswith(f"/{self._name}")
        if stored.content_hash == expected and stored.size == size and named:
            return
        if not named:
            raise PlaceError(
                f"{self._where} stored {self._name} under another name.",
                hint="Is something between vaultd and Dropbox?",
            )
        said = f"{self._where} stored other bytes under {self._name} than it was sent"
        try:
            # By its revision, so that nothing else is removed that took the name meanwhile.
            self._api.rpc(
                "files/delete_v2",
                {"path": self._path, "parent_rev": stored.rev},
                Anything,
                "remove a damaged object",
            )
        except PlaceError as error:
            raise PlaceError(
                f"{said}, and they could not be removed.", hint="Remove them there."
            ) from error
        raise PlaceError(
            f"{said}; they are removed again.",
            hint="If this happens twice, do not trust this place.",
        )
