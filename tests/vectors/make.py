"""Make the test vectors of format v1 (once; they are committed and never change).

    python -m tests.vectors.make

Each vector is a folder: `vault/` (a place), `kit.txt`, and either `expected.jsonl` (the records
of the newest point) or `expected.txt` (exit status, then a word of the object that is named).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.vault import small_vault as small
from vaultd.keys import Kit, PodKey, kit
from vaultd.restore.snapshot import Snapshot, open_with_kit

HERE = Path(__file__).parent


def _lay_out(folder: Path, objects: dict[str, bytes], secret: bytes) -> None:
    for name, data in objects.items():
        path = folder / "vault" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    kit.write(folder / "kit.txt", Kit(secret, (small.POD_KEY.fingerprint,), (), "ada@pod.example"))


def _good(folder: Path) -> None:
    objects, secrets, _, _ = small.build()
    _lay_out(folder, objects.data, small.SECRET)
    vault = open_with_kit(objects, secrets, (small.POD_KEY.public,))
    lines = [
        json.dumps({"kind": r.kind, "id": r.id, "body": r.body}, ensure_ascii=False)
        for r in Snapshot(vault, vault.at(None)).records()
    ]
    (folder / "expected.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


def _damaged(folder: Path) -> None:
    for case in ("flipped", "cut", "missing", "swapped", "forged", "foreign", "other-words"):
        objects, secrets, (first, second), _ = small.build()
        data, status, named, secret = objects.data, 4, second.name, small.SECRET
        if case == "flipped":
            changed = bytearray(data[second.name])
            changed[-200] ^= 1
            data[second.name] = bytes(changed)
        elif case == "cut":
            data[second.name] = data[second.name][:-100]
        elif case == "missing":
            del data[first.name]
            named = first.name
        elif case == "swapped":
            data[first.name], data[second.name] = data[second.name], data[first.name]
            named = first.name
        elif case == "forged":
            third = small.pack(
                secrets, PodKey(b"f" * 32), 3, second, (), [small.post("p1", "forged")], {}
            )
            data[third.name] = third.open().read()
            named = third.name
        elif case == "foreign":
            other, _, (_, foreign), _ = small.build(b"another kit 1234")
            named = f"{secrets.recipient.vault_id}/{foreign.name.split('/')[1]}"
            del data[second.name]
            data[named] = other.data[foreign.name]
        else:
            status, named, secret = 5, "", b"another kit 1234"
        _lay_out(folder / case, data, secret)
        (folder / case / "expected.txt").write_text(f"{status}\n{named}\n", "utf-8")


if __name__ == "__main__":
    for part, build in (("small", _good), ("damaged", _damaged)):
        shutil.rmtree(HERE / part, ignore_errors=True)
        build(HERE / part)
