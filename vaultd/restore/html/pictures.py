"""Pictures beside the pages: under names that no browser or shell takes for anything else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from vaultd.errors import DamageError, ObjectMissing
from vaultd.fields import entity, text
from vaultd.records import Body
from vaultd.restore.output.out_folder import subfolder
from vaultd.restore.output.paths import inside, is_plain, picture_ending
from vaultd.restore.output.private_file import private_file
from vaultd.restore.point import RestorePoint

FOLDER = "photos"


@dataclass(slots=True)
class Pictures:
    """Writes each picture once; `missing` names those that could not be."""

    snapshot: RestorePoint
    out: Path
    written: int = 0
    missing: list[str] = field(default_factory=list)
    _paths: dict[str, str | None] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    def path(self, body: Body) -> str | None:
        """Write a photo record's picture and return its path from the pages; None where lost.

        Raises PlaceError when the place is gone, OSError.
        """
        data = entity(body)
        name = text(data, "remote_photo_name") or ""
        key = f"{text(data, 'guid')}/{name}"
        if key not in self._paths:
            self._paths[key] = self._write(body, name)
        return self._paths[key]

    def _write(self, body: Body, name: str) -> str | None:
        ending = picture_ending(name)
        folder = subfolder(self.out, FOLDER)
        file_name = self._free_name(folder, name, ending) if ending else ""
        if file_name:
            try:
                with private_file(folder, file_name, sync=False) as file:
                    file.writelines(self.snapshot.open_blob(body))
            except (DamageError, ObjectMissing):
                file_name = ""  # half a picture is no picture; a place that vanished is an error
        if not file_name:
            self.missing.append(name[:200])
            return None
        self._names.add(file_name.casefold())
        self.written += 1
        return f"{FOLDER}/{file_name}"

    def _free_name(self, folder: Path, name: str, ending: str) -> str:
        try:
            inside(folder, name)
        except DamageError:
            plain = False
        else:
            plain = is_plain(name)
        if plain and name.casefold() not in self._names:
            return name
        return f"picture-{len(self._paths) + 1}{ending}"
