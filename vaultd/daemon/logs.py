"""Log lines on standard error: text, or one JSON document a line."""

from __future__ import annotations

import json
import logging
import sys

from vaultd.clock import now, rfc3339


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": rfc3339(now()),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info is not None:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str, style: str) -> None:
    """Send vaultd's own messages of `level` and above to standard error; twice is fine."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if style == "json" else logging.Formatter("%(levelname)s: %(message)s")
    )
    logger = logging.getLogger("vaultd")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
