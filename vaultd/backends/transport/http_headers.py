"""Headers of HTTP answers as servers and proxies really send them: some come twice."""

from __future__ import annotations

from collections.abc import Mapping


def header(headers: Mapping[str, str], name: str) -> str:
    """Return a header that has one value, empty where there is none.

    Nextcloud gives some of them twice, and a library joins them by commas (RFC 9110 5.2): what is
    only repeated is one value. Values that contradict each other stay joined, so that nobody who
    reads a number, a date or a digest in them takes one for the truth.
    """
    parts = [part.strip() for part in str(headers.get(name, "")).split(",")]
    count = len(parts)
    for length in range(1, count // 2 + 1):  # a date has a comma of its own
        if count % length == 0 and parts == parts[:length] * (count // length):
            return ", ".join(parts[:length])
    return ", ".join(parts)
