"""The config: what is read, what is refused, and that no password is ever shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.config import (
    DEFAULT_TEXT,
    Config,
    Target,
    build,
    default_path,
    duration,
    load,
    redact_url,
)
from vaultd.errors import ConfigError

Tree = dict[str, dict[str, object]]
Change = Callable[[Tree], object]

SMALLEST = """
[pod]
url = "https://pod.example"
database = "postgresql://reader@localhost/diaspora"
uploads = "/srv/diaspora/public/uploads"
[state]
path = "/var/lib/vaultd"
[targets.main]
url = "file:///srv/vaults"
"""
BY_ENVIRONMENT = {
    "VAULTD_POD_URL": "https://other.example",
    "VAULTD_POD_DATABASE": "mysql://me:secret@db/d",
    "VAULTD_POD_UPLOADS": "/2",
    "VAULTD_STATE_PATH": "/3",
    "VAULTD_TARGETS_MAIN_URL": "file:///4",
    "VAULTD_TARGETS_MY_SECOND_URL": "file:///5",
    "VAULTD_SCHEDULE_EVERY": "7d",
    "VAULTD_LIMITS_BATCH_ACCOUNTS": "7",
    "VAULTD_LOG_LEVEL": "debug",
    "VAULTD_LOG_FORMAT": "json",
}


def tree() -> Tree:
    return {
        "pod": {"url": "https://pod.example", "database": "sqlite:///pod", "uploads": "/up"},
        "targets": {"main": {"url": "file:///vaults"}},
    }


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(change: Change, environment: dict[str, str] | None = None) -> str:
    changed = tree()
    change(changed)
    with pytest.raises(ConfigError) as raised:
        build(changed, environment or {})
    return str(raised.value)


def test_the_smallest_config_works_and_the_rest_has_defaults(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALLEST), {})
    assert config.pod.database == "postgresql://reader@localhost/diaspora"
    assert config.targets["main"].url == "file:///srv/vaults"
    assert config.schedule.period == timedelta(days=1)
    assert (config.limits.batch_accounts, config.log.level, config.log.format) == (
        200,
        "info",
        "text",
    )


def test_the_example_is_what_init_writes_and_says_the_defaults(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "config.example.toml"
    assert example.read_text(encoding="utf-8") == DEFAULT_TEXT
    assert load(example, {}) == load(written(tmp_path, SMALLEST), {})


def test_every_key_of_the_config_is_in_the_example() -> None:
    for section in Config.__struct_fields__:
        assert f"[{section}" in DEFAULT_TEXT


def test_every_key_can_be_a_variable(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALLEST), BY_ENVIRONMENT)
    assert config == build({}, BY_ENVIRONMENT)
    assert config.pod.url == "https://other.example"
    assert {name: target.url for name, target in config.targets.items()} == {
        "main": "file:///4",
        "my_second": "file:///5",
    }
    assert config.schedule.period == timedelta(days=7)
    assert config.limits.batch_accounts == 7
    assert (config.state.path, config.log.level, config.log.format) == ("/3", "debug", "json")


def test_variables_alone_are_enough_where_no_file_is_named(tmp_path: Path) -> None:
    nowhere = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert load(None, {**BY_ENVIRONMENT, **nowhere}).pod.uploads == "/2"
    with pytest.raises(ConfigError, match="vaultd init"):
        load(tmp_path / "missing.toml", BY_ENVIRONMENT)
    with pytest.raises(ConfigError, match="vaultd init"):
        load(None, {**BY_ENVIRONMENT, "VAULTD_CONFIG": str(tmp_path / "missing.toml")})


def test_the_places_of_the_config_in_their_order(tmp_path: Path) -> None:
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nobody"}
    assert default_path(environment) == Path("/etc/vaultd/config.toml")
    (tmp_path / "vaultd").mkdir()
    own = written(tmp_path / "vaultd", SMALLEST)
    assert default_path(environment) == own
    assert default_path({"HOME": str(tmp_path)}) == Path("/etc/vaultd/config.toml")
    assert default_path({**environment, "VAULTD_CONFIG": "/else.toml"}) == Path("/else.toml")


def test_other_variables_are_none_of_our_business() -> None:
    build(tree(), {"VAULTD_TEST_REQUIRE": "x", "VAULTD_CONFIG": "y", "PATH": "z", "VAULTD": ""})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t["pod"].update(datbase="x"), "pod.datbase: there is no such key; did you mean 'database'"),
        (lambda t: t.update(pood={}), "pood: there is no such key; did you mean 'pod'"),
        (lambda t: t.update(xyz={}), "xyz: there is no such key."),
        (lambda t: t["targets"]["main"].update(uri="x"), "targets.main.uri: there is no such key; did you mean 'url'"),
        (lambda t: t["pod"].update(url=3), "pod.url: Expected `str`, got `int`"),
        (lambda t: t["pod"].update(uploads=""), "pod.uploads: this is empty"),
        (lambda t: t.update(state={"path": ""}), "state.path: this is empty"),
        (lambda t: t["pod"].pop("uploads"), "pod.uploads: this is missing"),
        (lambda t: t.pop("pod"), "pod: the section [pod] is missing"),
        (lambda t: t.update(pod="x"), "pod: this must be a section, [pod]"),
        (lambda t: t.update(targets=["x"]), "targets: this must be a section, [targets]"),
        (lambda t: t["targets"].update(main="x"), "targets.main: this must be a section, [targets.main]"),
        (lambda t: t["targets"]["main"].clear(), "targets.main.url: this is missing"),
        (lambda t: t["targets"]["main"].update(url=[]), "targets.main.url: Expected `str`, got `array`"),
        (lambda t: t["targets"].clear(), "targets: there is none"),
        (lambda t: t["targets"].update({"Ä b": {"url": "x"}}), "targets.Ä b: a target's name"),
        (lambda t: t["pod"].update(url="pod.example"), "pod.url: this must be the pod's address"),
        (lambda t: t["pod"].update(url="https://[pod"), "pod.url: this must be the pod's address"),
        (lambda t: t["pod"].update(url="https://:80"), "pod.url: this must be the pod's address"),
        (lambda t: t["pod"].update(database="oracle://x"), "pod.database: 'oracle' is not a database"),
        (lambda t: t.update(schedule={"every": "often"}), "schedule.every: 'often' is not a time like 24h"),
        (lambda t: t.update(schedule={"every": "59s"}), "schedule.every: this must be from 1m"),
        (lambda t: t.update(schedule={"every": "999999d"}), "schedule.every: this must be from 1m"),
        (lambda t: t.update(schedule={"every": 24}), "schedule.every: Expected `str`, got `int`"),
        (lambda t: t.update(limits={"batch_accounts": "many"}), "limits.batch_accounts: Expected `int`, got `str`"),
        (lambda t: t.update(limits={"batch_accounts": True}), "limits.batch_accounts: Expected `int`, got `bool`"),
        (lambda t: t.update(limits={"batch_accounts": 0}), "limits.batch_accounts: this must be from 1"),
        (lambda t: t.update(log={"level": "loud"}), "log.level: this must be debug"),
        (lambda t: t.update(log={"format": "xml"}), "log.format: this must be text or json"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(change: Change, sentence: str) -> None:
    assert refused(change).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("VAULTD_POD_DATBASE", "x", "pod.datbase (from VAULTD_POD_DATBASE): there is no such key; did you mean 'database'"),
        ("VAULTD_TARGETS_MAIN_URI", "x", "targets.main.uri (from VAULTD_TARGETS_MAIN_URI): there is no such key"),
        ("VAULTD_LIMITS_BATCH_ACCOUNTS", "²", "limits.batch_accounts: Expected `int`, got `str`"),
        ("VAULTD_LIMITS_BATCH_ACCOUNTS", "-1", "limits.batch_accounts: this must be from 1"),
        ("VAULTD_TARGETS_URL", "x", "targets.: a target's name"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_too(name: str, value: str, sentence: str) -> None:
    assert refused(lambda t: None, {name: value}).startswith(sentence)


def test_a_variable_of_digits_may_be_a_text() -> None:
    assert build(tree(), {"VAULTD_POD_UPLOADS": "2024"}).pod.uploads == "2024"


@pytest.mark.parametrize(
    "data", [b"[pod", b"\xff\xfe", b"a = " + b"[" * 5000, b"x" * 2_000_000, b"pod = 1\npod = 2"]
)
def test_what_is_not_toml_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="is not TOML|larger than"):
        load(path, {})


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory\)"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("24h", 86400), ("7d", 604800), (" 2 h ", 7200)],
)
def test_times_have_a_unit(text: str, seconds: int) -> None:
    assert duration(text, "x").total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "1w", "1h30m", "9999999s"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^a\.key: "):
        duration(text, "a.key")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:hunter2@host/db", "postgresql://me:…@host/db"),
        ("postgresql://me:hunter2@host:5432/db?sslmode=off", "postgresql://me:…@host:5432/db?sslmode=off"),
        ("postgresql://me:hun/ter2@host/db", "postgresql://me:…@host/db"),
        ("postgresql://me:hun#t@er?2@host/db", "postgresql://me:…@host/db"),
        ("mysql+pymysql://me:hunter2@host/db", "mysql+pymysql://me:…@host/db"),
        ("postgresql://host/db?user=me&password=hunter2&x=1", "postgresql://host/db?user=me&password=…&x=1"),
        ("postgresql://me@/db?host=/run/pg", "postgresql://me@/db?host=/run/pg"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("sqlite:////var/lib/pod:1.sqlite3", "sqlite:////var/lib/pod:1.sqlite3"),
        ("file:///srv/vaults", "file:///srv/vaults"),
    ],
)  # fmt: skip
def test_a_password_in_a_url_is_left_out(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@given(password=st.text(st.characters(codec="utf-8"), min_size=1), rest=st.text(max_size=9))
def test_no_password_survives_redaction(password: str, rest: str) -> None:
    secret = f"<{password}>"
    assert secret not in redact_url(f"postgresql://me:{secret}@host/{rest}")


def test_neither_config_nor_errors_show_the_password() -> None:
    changed = tree()
    changed["pod"]["database"] = "postgresql://me:hunter2@host/db"
    changed["targets"]["main"] = {"url": "s3://key:hunter2@host"}
    config = build(changed, {})
    assert "hunter2" not in repr(config) + str(config) + f"{config.pod!r}"
    assert config.pod.database == "postgresql://me:hunter2@host/db"
    for wrong in ("me:hunter2@host/db", "hunter2", "oracle://me:hunter2@host", "://hunter2", ""):
        changed["pod"]["database"] = wrong
        with pytest.raises(ConfigError, match=r"^pod\.database: ") as raised:
            build(changed, {})
        assert "hunter2" not in str(raised.value)


TREE: dict[str, object] = {
    "pod": {"url": "https://pod.example", "database": "sqlite:///p", "uploads": "/u"},
}


def _target(**keys: object) -> Target:
    return build({**TREE, "targets": {"off": {"url": "s3://b/p", **keys}}}, {}).targets["off"]


def test_a_targets_secret_is_a_text_a_file_or_a_systemd_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("from a file\n")
    file.chmod(0o600)
    assert _target(secret_key="plain").secret("secret_key", "targets.off") == "plain"
    assert _target(secret_key={"file": str(file)}).secret("secret_key", "t") == "from a file"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    given = _target(secret_key={"credential": "secret"})
    assert given.secret("secret_key", "t") == "from a file"
    assert "file" not in repr(_target(secret_key="plain", access_key="x"))
    file.chmod(0o644)
    for wrong, said in (
        ({"file": str(file)}, "everybody"),
        ({"file": str(tmp_path / "none")}, "cannot be read"),
        ({"credential": "../secret"}, "no systemd credential"),
        ({"both": "a", "file": "b"}, "must be a text"),
    ):
        with pytest.raises(ConfigError, match=said):
            _target(secret_key=wrong).secret("secret_key", "targets.off")


def test_a_key_must_go_with_the_targets_scheme() -> None:
    with pytest.raises(ConfigError, match=r"targets\.off\.username.*webdav"):
        _target(username="me")
    with pytest.raises(ConfigError, match=r"targets\.off\.lock:"):
        _target(lock="compliance")
    with pytest.raises(ConfigError, match=r"targets\.off\.lock:"):
        _target(lock="forever", lock_period="30d")
    assert _target(lock="compliance", lock_period="30d").lock_period == "30d"


def test_variables_name_targets_and_keys_with_underscores() -> None:
    found = build(
        dict(TREE),
        {
            "VAULTD_TARGETS_OFF_SITE_URL": "s3://bucket/x",
            "VAULTD_TARGETS_OFF_SITE_SECRET_KEY": "hidden",
            "VAULTD_TARGETS_OFF_SITE_PATH_STYLE": "true",
            "VAULTD_TARGETS_OFF_SITE_READ_TIMEOUT": "5.5",
        },
    ).targets
    assert found["off_site"].secret_key == "hidden"
    assert found["off_site"].path_style is True
    assert found["off_site"].read_timeout == 5.5
