"""Connecting to the pod's database: read-only, one consistent snapshot, three engines."""

from __future__ import annotations

import codecs
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, Engine, Executable, create_engine, event, func, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from vaultd.errors import DatabaseError, DatabaseLost
from vaultd.sources.diaspora.changes.hashing import register
from vaultd.sources.diaspora.lenient import load_leniently
from vaultd.sources.diaspora.limits import NO_LIMITS, Limits, crowded

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_P = ParamSpec("_P")
_T = TypeVar("_T")

STREAM: Final = 1000
_LENIENT: Final = "vaultd_utf8"
_PATIENCE: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
# A peer that went away without a word is noticed within two minutes.
_ALIVE: Final = {"keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 4}
# Texts of times are read, and rows hashed, as these settings write them.
_WRITING: Final = (("datestyle", "ISO, YMD"), ("intervalstyle", "postgres"), ("timezone", "UTC"))
# Nothing slow is done between rows; a vaultd that was stopped there holds no snapshot for ever.
_STANDSTILL: Final = 300  # seconds
# A batch's rows are found through indexes that lie in memory, and sorted there.
_PLANNING: Final = (
    ("cursor_tuple_fraction", "1"),
    ("random_page_cost", "1.1"),
    ("work_mem", "32MB"),
)


def _lenient(name: str) -> codecs.CodecInfo | None:
    if name != _LENIENT:
        return None
    plain = codecs.lookup("utf-8")

    def decode(data: ReadableBuffer, errors: str = "strict", /) -> tuple[str, int]:  # noqa: ARG001
        return plain.decode(data, "replace")

    return codecs.CodecInfo(plain.encode, decode, name=_LENIENT)


codecs.register(_lenient)


def open_engine(url: str) -> Engine:
    """Return an engine for `postgresql://`, `mysql://` or `sqlite:///`.

    Raises DatabaseError for a URL that cannot be used; connects only when first needed.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.partition("+")[0]
    try:
        if scheme == "sqlite":
            return _sqlite(url)
        if scheme in ("postgres", "postgresql"):
            engine = create_engine(
                f"postgresql+psycopg://{rest}",
                isolation_level="REPEATABLE READ",
                pool_pre_ping=True,
                # Statements prepared on one server are unknown on the next behind a proxy.
                connect_args={"connect_timeout": 10, "prepare_threshold": None, **_ALIVE},
            )
            # First of all: SQLAlchemy asks a new connection questions of its own.
            event.listen(engine, "connect", _load_leniently, insert=True)
            return engine
        if scheme in ("mysql", "mariadb"):
            parsed = make_url(f"mysql+pymysql://{rest}").update_query_dict({"charset": "utf8mb4"})
            engine = create_engine(
                parsed,
                isolation_level="REPEATABLE READ",
                pool_pre_ping=True,
                connect_args={"connect_timeout": 10},
            )
            event.listen(engine, "connect", _read_leniently)
            return engine
        return create_engine(url)
    except (ArgumentError, SQLAlchemyError, ImportError, ValueError) as error:
        raise DatabaseError(
            f"pod.database: this URL cannot be used ({type(error).__name__}).",
            hint="Write postgresql://user@host/name, mysql://… or sqlite:///path.",
        ) from error


def _load_leniently(connection: object, _record: object) -> None:
    load_leniently(connection)  # type: ignore[arg-type]


def _read_leniently(connection: object, _record: object) -> None:
    # Old rows may hold bytes that are no UTF-8; one of them must not stop a whole table.
    connection.encoding = _LENIENT  # type: ignore[attr-defined]


def _sqlite(url: str) -> Engine:
    path = Path(unquote(urlsplit(url).path).removeprefix("/"))
    if url.startswith("sqlite:////"):
        path = Path("/") / path

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        connection.isolation_level = None
        register(connection)
        return connection

    # One thread may need two connections at once: a table streams while a key is looked up.
    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def fetch_all(
    connection: Connection, query: Executable, asked: Mapping[str, Any] | None = None
) -> Sequence[Any]:
    """Return the rows of a short answer: no cursor on the server for them."""
    plain = connection.execution_options(stream_results=False, yield_per=None)
    return plain.execute(query, dict(asked or {})).all()


def once_more(ask: Callable[_P, _T]) -> Callable[_P, _T]:
    """Have a question asked again, over a new connection, whose connection ended on the way."""

    @wraps(ask)
    def asked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return ask(*args, **kwargs)
        except DatabaseLost:
            return ask(*args, **kwargs)

    return asked


def _settle(connection: Connection) -> None:
    # A cursor is planned for its first tenth otherwise; compiling pays for none of our queries.
    version = connection.dialect.server_version_info or (0,)
    names = _WRITING + _PLANNING + ((("jit", "off"),) if version >= (11,) else ())
    if version >= (9, 6):
        names += (("idle_in_transaction_session_timeout", f"{_STANDSTILL}s"),)
    connection.execute(select(*(func.set_config(n, value, True) for n, value in names)))


@contextmanager
def snapshot(
    engine: Engine,
    limits: Limits = NO_LIMITS,
    portion: int = STREAM,
) -> Iterator[Connection]:
    """One read-only transaction that sees one moment; rows stream, `portion` of them at a time.

    Raises DatabaseError for everything the driver raises, without the statement's values.
    """
    try:
        with _connected(engine) as connection:
            name = engine.dialect.name
            if name == "postgresql":
                connection = connection.execution_options(postgresql_readonly=True)
                _settle(connection)
                limits.apply(connection)
            elif name == "mysql":
                limits.apply(connection)
                connection.exec_driver_sql(f"SET SESSION net_write_timeout = {_STANDSTILL:d}")
                connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
                connection.rollback()
                connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            else:
                limits.apply(connection)
            yield connection.execution_options(stream_results=True, yield_per=portion)
            connection.rollback()
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        reason, hint = limits.told(cause), "Try again when the pod is less busy, or wait longer."
        if reason is None:
            reason = str(cause or error).strip().splitlines()[0][:200]
            hint = "Check pod.database and that this user may SELECT every table."
        kind = DatabaseLost if getattr(error, "connection_invalidated", False) else DatabaseError
        raise kind(f"The pod's database cannot be read: {reason}", hint=hint) from error


def _connected(engine: Engine) -> Connection:
    """Connect; a server that is full for a moment, or is starting, is given a few seconds."""
    for seconds in _PATIENCE:
        try:
            return engine.connect()
        except SQLAlchemyError as error:
            if not crowded(getattr(error, "orig", None)):
                raise
            time.sleep(seconds)
    return engine.connect()
