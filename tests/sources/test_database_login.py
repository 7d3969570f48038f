"""The lines of docs/operations.md for the pod's database, tried as they stand there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.servers import Server
from tests.sources.test_diaspora_engines import _build
from vaultd.backup.checks.checks import open_source
from vaultd.config import Config, Pod, Target
from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import RELEASES
from vaultd.errors import ConfigError, DatabaseError

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
PASSWORD = "it's 50 % of @ll: /?#"


def lines_of(heading: str) -> str:
    """Return the statements that the documentation has under a heading."""
    text = DOCS.read_text("utf-8").partition(heading)[2]
    found = re.search(r"```\n(.*?)```", text, re.S)
    assert found is not None, heading
    return found[1].replace("PASSWORD", PASSWORD.replace("'", "''"))


def config(database: str, uploads: Path, **more: object) -> Config:
    pod = Pod(POD_URL, database, str(uploads), **more)  # type: ignore[arg-type]
    return Config(pod=pod, targets={"main": Target("file:///none")})


def read_all(found: Config) -> int:
    """Ask all that a run asks, and read every record of every account."""
    source = open_source(found)
    source.info()
    accounts = source.accounts()
    source.moment()
    source.changes(None)
    source.fingerprints(accounts)
    source.signs()
    return sum(1 for _ in source.read(accounts))


def psql(server: Server, database: str, text: str) -> None:
    subprocess.run(
        ["psql", "-h", str(server.folder), "-U", "postgres", "-d", database, "-v",
         "ON_ERROR_STOP=1", "-q"],
        input=text, text=True, check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("grants", ["On PostgreSQL 14 and later", "Before PostgreSQL 14"])
def test_a_postgresql_role_with_a_password_reads_all(
    postgres_server: Server, tmp_path: Path, grants: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = postgres_server
    name, admin = "diaspora_production", f"postgresql://postgres@/{{}}?host={postgres.folder}"
    psql(
        postgres,
        "postgres",
        f"DROP DATABASE IF EXISTS {name} WITH (FORCE); DROP ROLE IF EXISTS vaultd;",
    )
    psql(
        postgres,
        "postgres",
        f"DO $$ BEGIN CREATE ROLE diaspora; EXCEPTION WHEN others THEN END $$; CREATE DATABASE {name};",
    )
    psql(postgres, name, lines_of(grants))
    _build(admin.format(name), tmp_path, RELEASES[-1])
    if grants.startswith("Before"):
        psql(postgres, name, lines_of(grants).split("\n", 1)[1])
    psql(postgres, name, f"ALTER ROLE vaultd PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")
    access = postgres.folder / "data" / "pg_hba.conf"
    if "vaultd" not in access.read_text():
        access.write_text("local all vaultd scram-sha-256\n" + access.read_text())
    psql(postgres, name, "SELECT pg_reload_conf()")
    url = f"postgresql://vaultd@/{name}?host={postgres.folder}"
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(DatabaseError):
        read_all(config(url, tmp_path))
    file = tmp_path / "database"
    file.write_text(f"{PASSWORD}\n")
    file.chmod(0o600)
    wanted = read_all(config(admin.format(name), tmp_path))
    assert read_all(config(url, tmp_path, database_password={"file": str(file)})) == wanted > 1000
    passes = tmp_path / "pgpass"
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    passes.write_text(f"*:*:{name}:vaultd:{escaped}\n")
    passes.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passes))
    assert read_all(config(url, tmp_path)) == wanted


def test_a_mariadb_user_with_a_password_reads_all(mariadb_server: Server, tmp_path: Path) -> None:
    socket = mariadb_server.folder / "socket"
    admin = f"mysql://root@localhost/diaspora_production?unix_socket={socket}"
    command = ["mariadb", "--no-defaults", "-u", "root", "-S", str(socket)]
    for text in ("CREATE DATABASE diaspora_production;", lines_of("On MySQL and MariaDB")):
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
    try:
        _build(admin, tmp_path, RELEASES[-1])
        url = admin.replace("root@", "vaultd@")
        found = config(url, tmp_path, database_password=PASSWORD)
        assert read_all(found) == read_all(config(admin, tmp_path)) > 1000
        with pytest.raises(DatabaseError):
            read_all(config(url, tmp_path))
    finally:
        text = "DROP DATABASE diaspora_production; DROP USER 'vaultd'@'localhost';"
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)


def test_a_password_goes_with_a_user_and_is_given_once() -> None:
    for url in ("postgresql:///d", "postgresql://u:p@h/d", "sqlite:////x"):
        with pytest.raises(ConfigError, match="must name a user and no password"):
            _ = Pod(POD_URL, url, "/x", "secret").database_url
    found = Pod(POD_URL, "mysql://u@h/d", "/x", "p@/:s")
    assert found.database_url == "mysql://u:p%40%2F%3As@h/d"
    assert "p@/:s" not in repr(found)
