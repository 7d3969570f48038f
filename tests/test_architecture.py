"""The drawing and the list of rooms in docs/architecture.md are those of the code."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text()


def _floors() -> dict[str, int]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c["layers"] for c in contracts["contracts"] if c["type"] == "layers")
    return {
        room.strip().removeprefix("vaultd."): floor
        for floor, rooms in enumerate(layers)
        for room in rooms.split("|")
    }


def _rooms() -> dict[str, str]:
    found = {}
    for init in sorted((ROOT / "vaultd").rglob("__init__.py")):
        room = init.parent.relative_to(ROOT / "vaultd").as_posix()
        if room != "." and "migrations" not in room:
            said = ast.get_docstring(ast.parse(init.read_text())) or ""
            found[room] = " ".join(said.split("\n\n")[0].split())
    return found


def test_every_arrow_of_the_drawing_points_downward() -> None:
    floors = _floors()
    arrows = re.findall(r"^    (\w+) --> (\w+)$", TEXT, re.MULTILINE)
    assert len(arrows) > 10
    for above, below in arrows:
        assert floors[above] < floors[below], (above, below)
    drawn = {room for arrow in arrows for room in arrow}
    assert {"backup", "restore", "vault", "sources", "backends", "state", "cli", "daemon"} <= drawn


def test_every_room_says_what_it_is_for_and_is_listed() -> None:
    listed = dict(re.findall(r"^\| `([\w/]+)` \| (.+) \|$", TEXT, re.MULTILINE))
    rooms = _rooms()
    assert all(rooms.values())
    table = "\n".join(f"| `{room}` | {said} |" for room, said in rooms.items())
    assert listed == rooms, f"The table should be:\n{table}"


def test_no_room_is_too_full() -> None:
    for init in (ROOT / "vaultd").rglob("__init__.py"):
        files = list(init.parent.glob("*.py"))
        assert len(files) <= 18, f"{init.parent} holds {len(files)} files"
