"""Being a guest in the pod's database: waits that end, and reading no faster than asked."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select

_MARIADB: Final = "SET SESSION max_statement_time = %s"
_MYSQL: Final = "SET SESSION max_execution_time = %s"
_SLOW: Final = frozenset(("57014", "1969", "3024"))
_FULL: Final = frozenset(("1040", "1203", "1226", "1129"))  # MySQL's, PostgreSQL only has words
_PASSING: Final = (
    "too many c",
    "connection slots",
    "starting up",
    "shutting down",
    "recovery mode",
)
_LOCKED: Final = frozenset(("55P03", "1205", "5", "6"))  # 5 and 6: SQLite's BUSY and LOCKED


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that one statement, and one wait for a lock, may take; 0 is no limit.

    On PostgreSQL a statement is one portion of rows. On MySQL and MariaDB it is the whole query,
    the time included in which vaultd takes its rows. SQLite has the wait for a lock only.
    """

    statement: float = 0
    lock: float = 0

    def apply(self, connection: Connection) -> None:
        """Set the limits for a connection's next transaction."""
        name = connection.dialect.name
        if name == "postgresql":
            wanted = (("statement_timeout", self.statement), ("lock_timeout", self.lock))
            settings = [(n, f"{max(1, math.ceil(s * 1000))}ms") for n, s in wanted if s > 0]
            if settings:
                connection.execute(select(*(func.set_config(n, v, True) for n, v in settings)))
        elif name == "mysql":
            self._mysql(connection)
        elif name == "sqlite" and self.lock > 0:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {math.ceil(self.lock * 1000):d}")

    def _mysql(self, connection: Connection) -> None:
        if self.statement > 0:
            maria = getattr(connection.dialect, "is_mariadb", False)
            value = self.statement if maria else math.ceil(self.statement * 1000)
            connection.exec_driver_sql(_MARIADB if maria else _MYSQL, (value,))
        if self.lock > 0:  # whole seconds, one at least
            seconds = math.ceil(self.lock)
            connection.exec_driver_sql(
                "SET SESSION innodb_lock_wait_timeout = %s, SESSION lock_wait_timeout = %s",
                (seconds, seconds),
            )

    def told(self, error: Any) -> str | None:
        """Return what a driver's error says if one of the limits struck, else None."""
        names = ("sqlstate", "sqlite_errorcode")
        codes = {str(getattr(error, name, None)) for name in names}
        codes.update(map(str, getattr(error, "args", ())[:1]))  # MySQL's own number
        if codes & _SLOW and self.statement > 0:
            return f"one question took longer than the {self.statement:g} s that it may"
        if codes & _LOCKED:
            waited = f" for {self.lock:g} s" if self.lock > 0 else ""
            return f"somebody else keeps a table locked, and vaultd waited{waited} in vain"
        return None


NO_LIMITS: Final = Limits()


def crowded(error: Any) -> bool:
    """Tell whether a driver could not connect for a reason that passes: no room, or starting."""
    numbers = getattr(error, "args", ())[:1]
    words = str(error).lower()
    return bool(_FULL & set(map(str, numbers))) or any(each in words for each in _PASSING)


class Pace:
    """Holds the reading back so that at most `rows_per_second` come by; 0 is no limit."""

    def __init__(self, rows_per_second: int = 0) -> None:
        self.rows_per_second = rows_per_second
        self._free_at = 0.0

    def portion(self, most: int) -> int:
        """Return how many rows to fetch at once: a quarter of a second's, `most` at most."""
        return max(1, min(most, self.rows_per_second // 4)) if self.rows_per_second else most

    def passed(self, rows: int) -> None:
        """Note rows that were read; sleep until the next may be."""
        if not self.rows_per_second:
            return
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + rows / self.rows_per_second
        time.sleep(self._free_at - now)
