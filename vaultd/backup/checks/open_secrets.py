"""Which secrets of the pod lie open: files that hold one and that others than vaultd may read."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vaultd.config import SECRETS
from vaultd.state.key_file import KEY_FILE

# A password that is not empty, in an address or as one of its options.
_IN_URL: Final = re.compile(r"://[^/?#]*:[^/?#@]+@|[?&](password|passwd|sslpassword)=[^&]")


def open_secrets(config_file: Path, pod_key: Path) -> list[str]:
    """Return a sentence for each file with a secret that too many may read."""
    found = []
    if _mode(config_file) & 0o004 and (keys := sorted(_secrets_in(config_file))):
        found.append(
            f"{config_file} can be read by everybody and holds {', '.join(keys)}. chmod 640 it, "
            "and change what may have been read."
        )
    if _mode(pod_key) & 0o077:
        found.append(
            f"{pod_key} can be read by others than its owner: who has it signs in this pod's name. "
            "chmod 600 it."
        )
    state_key = pod_key.with_name(KEY_FILE)
    if _mode(state_key) & 0o077:
        found.append(
            f"{state_key} can be read by others than its owner: with the state it tells who knows "
            "whom. chmod 600 it."
        )
    return found


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0  # what is not there lies open to nobody


def _secrets_in(config_file: Path) -> Iterator[str]:
    """Yield the keys of a config file whose values are secrets as plain text."""
    try:
        tree: Mapping[str, object] = tomllib.loads(config_file.read_text("utf-8"))
    except (OSError, ValueError):
        return  # loading it has told already
    pod, targets = tree.get("pod"), tree.get("targets")
    if isinstance(pod, dict):
        if isinstance(pod.get("database_password"), str):
            yield "pod.database_password"
        if _IN_URL.search(str(pod.get("database", ""))):
            yield "the password in pod.database"
    for name, keys in targets.items() if isinstance(targets, dict) else ():
        if isinstance(keys, dict):
            yield from (f"targets.{name}.{k}" for k in SECRETS if isinstance(keys.get(k), str))
