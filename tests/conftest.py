"""Fixtures for all tests: clean environment, private database servers, the real pods' data.

What is marked `long` runs with `-m long` only.
"""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import servers

SHARED = Path(__file__).resolve().parents[2] / "shared" / "diaspora"
_numbers = count()


def pytest_configure(config: pytest.Config) -> None:
    servers.required()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "long" in str(config.getoption("markexpr", "")):
        return
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with -m long"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests counted (`record_property("counted", …)`), whichever process they ran in."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in getattr(report, "user_properties", ()):
                if name == "counted":
                    terminalreporter.section(report.nodeid)
                    terminalreporter.line(str(value))


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("VAULTD_") and not name.startswith("VAULTD_TEST"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_logging_of_other_tests() -> Iterator[None]:
    """Undo what a command run in this process did to vaultd's logger."""
    logger = logging.getLogger("vaultd")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


@pytest.fixture(scope="session")
def _sockets() -> Iterator[Path]:
    # Socket paths must be short, and a dropped user must be able to enter.
    folder = Path(tempfile.mkdtemp(prefix="vt-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(_sockets: Path) -> Iterator[servers.Server]:
    server = servers.start_postgresql(_sockets / "pg")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb_server(_sockets: Path) -> Iterator[servers.Server]:
    server = servers.start_mariadb(_sockets / "my")
    yield server
    server.stop()


def run_sql(
    server: servers.Server, database: str, statements: bytes, *, on_error: str = "1"
) -> None:
    """Run SQL with psql in a test's own PostgreSQL; `on_error` is psql's ON_ERROR_STOP."""
    _psql(server, database, stdin=statements, on_error=on_error)


def _psql(
    server: servers.Server,
    database: str,
    *arguments: str,
    stdin: bytes = b"",
    on_error: str = "1",
) -> None:
    done = subprocess.run(
        ["psql", "-q", "-v", f"ON_ERROR_STOP={on_error}", "-h", str(server.folder), "-U", "postgres",
         "-d", database, *arguments],
        input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr.decode("utf-8", "replace")[-2000:])


def postgres_url_of(server: servers.Server, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={server.folder}"


@pytest.fixture
def postgres_url(postgres_server: servers.Server) -> str:
    """A fresh, empty PostgreSQL database."""
    name = f"fresh{next(_numbers)}"
    _psql(postgres_server, "postgres", "-c", f"create database {name}")
    return postgres_url_of(postgres_server, name)


@pytest.fixture
def mariadb_url(mariadb_server: servers.Server) -> str:
    """A fresh, empty MariaDB database."""
    name, socket = f"fresh{next(_numbers)}", mariadb_server.folder / "socket"
    subprocess.run(
        ["mariadb", "--no-defaults", "-u", "root", "-S", str(socket), "-e",
         f"create database {name} character set utf8mb4 collate utf8mb4_bin"],
        check=True, capture_output=True,
    )  # fmt: skip
    return f"mysql://root@localhost/{name}?unix_socket={socket}"


@pytest.fixture(scope="session")
def shared_diaspora() -> Path:
    """The folder with diaspora*'s own schemas and data; it is not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the folder ../shared/diaspora is not here")
    return SHARED


@pytest.fixture(scope="session")
def realpods(shared_diaspora: Path) -> Path:
    """The folder with the data of real pods."""
    folder = shared_diaspora / "pods"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/diaspora/pods is not here")
    return folder


@pytest.fixture(scope="session")
def realpod(realpods: Path, postgres_server: servers.Server) -> Callable[[str], str]:
    """Load a real pod's dump (`o1`, `o1_day2`, `n1`, `f1`) once, and return its database URL."""
    loaded: dict[str, str] = {}

    def load(name: str) -> str:
        if name not in loaded:
            _psql(postgres_server, "postgres", "-c", f"create database {name}")
            with gzip.open(realpods / f"{name}.sql.gz") as dump:
                _psql(postgres_server, name, stdin=dump.read())
            loaded[name] = postgres_url_of(postgres_server, name)
        return loaded[name]

    return load


@pytest.fixture(scope="session")
def nastypod(realpods: Path, realpod: Callable[[str], str], postgres_server: servers.Server) -> str:
    """Return the URL of a copy of `o1` whose user `otto` has rows that break every habit."""
    realpod("o1")
    _psql(postgres_server, "postgres", "-c", "create database nasty template o1")
    _psql(postgres_server, "nasty", "-o", "/dev/null", stdin=(realpods / "nasty.sql").read_bytes())
    return postgres_url_of(postgres_server, "nasty")
