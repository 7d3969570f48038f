"""Log lines on standard error: text, or one JSON document a line; names cannot steer a terminal."""

from __future__ import annotations

import json
import logging
import sys

from vaultd.clock import now, rfc3339
from vaultd.printable import printable, printable_json, trace_without_values


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (error := _error(record)) is not None:
            line["trace"] = trace_without_values(error)
        return printable_json(json.dumps(line, ensure_ascii=False))


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        lines = [f"{record.levelname}: {record.getMessage()}"]
        if (error := _error(record)) is not None:
            lines += trace_without_values(error).splitlines()
        return "\n".join(map(printable, lines))


def _error(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info is not None else None


def set_up_logging(level: str, style: str) -> None:
    """Send vaultd's own messages of `level` and above to standard error; twice is fine."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    logger = logging.getLogger("vaultd")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
