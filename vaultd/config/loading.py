"""From TOML and `VAULTD_*` variables to a Config; unknown keys are refused by path."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from vaultd.config.checks import check_values
from vaultd.config.sections import (
    Backup,
    Config,
    Enroll,
    Limits,
    Log,
    Metrics,
    Pod,
    Retention,
    Schedule,
    Scrub,
    StateSection,
    UserTargets,
)
from vaultd.config.targets import Target, check_target
from vaultd.errors import ConfigError

_S = TypeVar("_S", bound=msgspec.Struct)
_MAX_CONFIG: Final = 1024 * 1024
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")

_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "pod": Pod,
    "state": StateSection,
    "enroll": Enroll,
    "schedule": Schedule,
    "retention": Retention,
    "backup": Backup,
    "scrub": Scrub,
    "user_targets": UserTargets,
    "metrics": Metrics,
    "limits": Limits,
    "log": Log,
}


def default_path(environment: Mapping[str, str]) -> Path:
    """Return where the config is looked for without `--config`.

    `VAULTD_CONFIG`, else the user's XDG file if it exists, else `/etc/vaultd/config.toml`.
    """
    if environment.get("VAULTD_CONFIG"):
        return Path(environment["VAULTD_CONFIG"])
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    own = Path(home) / "vaultd" / "config.toml"
    return own if own.is_file() else Path("/etc/vaultd/config.toml")


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the config file and lay the `VAULTD_*` variables over it.

    A file that nobody named may be missing where variables say enough. Raises ConfigError with
    the path of the key that is wrong.
    """
    found = path or default_path(environment)
    named = path is not None or bool(environment.get("VAULTD_CONFIG"))
    try:
        data = found.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not named and _settings(environment):
            return build({}, environment)
        raise ConfigError(
            f"The config {found} cannot be read ({error.strerror}).",
            hint="`vaultd init --config FILE` writes one.",
        ) from error
    if len(data) > _MAX_CONFIG:
        raise ConfigError(f"The config {found} is larger than 1 MiB.")
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits too
        raise ConfigError(f"The config {found} is not TOML: {error}.") from error
    return build(tree, environment)


def build(tree: dict[str, object], environment: Mapping[str, str]) -> Config:
    """Check a parsed config tree and the variables over it; raises ConfigError."""
    for section in tree:
        if section not in _SECTIONS and section != "targets":
            raise _unknown(section, section, [*_SECTIONS, "targets"])
    sections = {name: _table(name, tree.get(name, {})) for name in _SECTIONS}
    targets = {
        name: _table(f"targets.{name}", keys)
        for name, keys in _table("targets", tree.get("targets", {})).items()
    }
    _overlay(sections, targets, environment)
    if not sections["pod"]:
        raise ConfigError("pod: the section [pod] is missing.", hint="See config.example.toml.")
    config = Config(
        pod=_convert("pod", sections["pod"], Pod),
        state=_convert("state", sections["state"], StateSection),
        enroll=_convert("enroll", sections["enroll"], Enroll),
        schedule=_convert("schedule", sections["schedule"], Schedule),
        retention=_convert("retention", sections["retention"], Retention),
        backup=_convert("backup", sections["backup"], Backup),
        scrub=_convert("scrub", sections["scrub"], Scrub),
        user_targets=_convert("user_targets", sections["user_targets"], UserTargets),
        metrics=_convert("metrics", sections["metrics"], Metrics),
        limits=_convert("limits", sections["limits"], Limits),
        log=_convert("log", sections["log"], Log),
        targets={n: _convert(f"targets.{n}", keys, Target) for n, keys in targets.items()},
    )
    check_values(config)
    return config


def _table(where: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: this must be a section, [{where}].")
    return dict(value)


def _convert(where: str, keys: dict[str, object], struct: type[_S]) -> _S:
    known = {field.name: field for field in msgspec.structs.fields(struct)}
    for key in keys:
        if key not in known:
            raise _unknown(f"{where}.{key}", key, list(known))
    for key, field in known.items():
        if field.required and key not in keys:
            raise ConfigError(f"{where}.{key}: this is missing.", hint="See config.example.toml.")
        try:
            msgspec.convert(keys.get(key, field.default), field.type)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{where}.{key}: {error}.", hint="See config.example.toml."
            ) from error
        if keys.get(key) == "":
            raise ConfigError(f"{where}.{key}: this is empty.", hint="See config.example.toml.")
    return msgspec.convert(keys, struct)


def _unknown(where: str, key: str, known: list[str]) -> ConfigError:
    close = difflib.get_close_matches(key, known, 1)
    return ConfigError(
        f"{where}: there is no such key" + (f"; did you mean {close[0]!r}?" if close else "."),
        hint="See config.example.toml.",
    )


def _settings(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the variables that set a key: name, section (targets.NAME), key."""
    found = []
    for name in environment:
        prefix, _, rest = name.lower().partition("_")
        section = next((s for s in _SECTIONS if rest.startswith(f"{s}_")), rest.partition("_")[0])
        key = rest[len(section) + 1 :]
        if prefix != "vaultd" or not key:
            continue
        if section in _SECTIONS:
            found.append((name, section, key))
        elif section == "targets":
            target, known = _target_key(key)
            found.append((name, f"targets.{target}", known))
    return found


def _target_key(text: str) -> tuple[str, str]:
    """Cut `off_site_secret_key` into the target's name and the longest key that fits."""
    keys = [field.name for field in msgspec.structs.fields(Target)]
    fits = [key for key in keys if text.endswith(f"_{key}")]
    key = max(fits, key=len, default=text.rpartition("_")[2])
    return text[: -len(key) - 1], key


def _overlay(
    sections: dict[str, dict[str, object]],
    targets: dict[str, dict[str, object]],
    environment: Mapping[str, str],
) -> None:
    for name, section, key in _settings(environment):
        target = section.partition(".")[2]
        struct = _SECTIONS.get(section, Target)
        known = {field.name: field for field in msgspec.structs.fields(struct)}
        if key not in known:
            raise _unknown(f"{section}.{key} (from {name})", key, list(known))
        value = environment[name]
        keys = sections[section] if section in sections else targets.setdefault(target, {})
        keys[key] = _typed(value, known[key].type)


def target_from_variables(
    url: str, environment: Mapping[str, str], prefixes: Sequence[str] = ("PLACE",)
) -> Target:
    """Return a target that no config names: its keys from VAULTD_PLACE_… variables.

    Of several prefixes the later one wins. Raises ConfigError for an unknown or misfit key.
    """
    known = [field.name for field in msgspec.structs.fields(Target)]
    texts: dict[str, str] = {}
    for prefix in prefixes:
        for name in environment:
            key = name.lower().removeprefix(f"vaultd_{prefix.lower()}_")
            if key == name.lower():
                continue
            if key not in known or key == "url":
                raise _unknown(f"place.{key} (from {name})", key, known)
            texts[key] = environment[name]
    return target_from_texts(url, texts, "place")


def target_from_texts(url: str, texts: Mapping[str, str], where: str) -> Target:
    """Return a target of this URL and these keys; raises ConfigError, naming `where`."""
    known = {field.name: field for field in msgspec.structs.fields(Target)}
    keys: dict[str, object] = {"url": url}
    for key, text in texts.items():
        keys[key] = _typed(text, known[key].type) if key in known else text
    target = _convert(where, keys, Target)
    check_target(where, target)
    return target


def _typed(value: str, wanted: object) -> object:
    """Return a variable's text as its key's type; what does not fit is refused later."""
    if wanted is int and _NUMBER.fullmatch(value):
        return int(value)
    if wanted is float and _DECIMAL.fullmatch(value):
        return float(value)
    if wanted == tuple[str, ...]:
        return value.split()
    if (wanted is bool or wanted == bool | None) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value
