"""A server far away: the tests' delaying proxy in a process of its own, so that it takes no GIL.

python -m bench.far PORT SECONDS    prints its port; when its input ends, JSON of what it saw
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.backends.proxy import Plan, Proxy


@dataclass
class Seen:
    """What passed: connections, and requests by method. Filled when the proxy has ended."""

    port: int
    connections: int = 0
    requests: dict[str, int] = field(default_factory=dict)


@contextmanager
def far(port: int, round_trip: float) -> Iterator[Seen]:
    """Give a way to a loopback port whose answers come `round_trip` seconds later."""
    command = [sys.executable, "-m", "bench.far", str(port), str(round_trip / 2)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii"
    )
    if process.stdout is None or process.stdin is None:
        raise RuntimeError("the proxy has no pipes")
    seen = Seen(int(process.stdout.readline()))
    try:
        yield seen
    finally:
        process.stdin.close()
        said = json.loads(process.stdout.read())
        seen.connections, seen.requests = said["connections"], said["requests"]
        process.wait()


def main() -> None:
    """Be the proxy until the standard input ends."""
    with Proxy(int(sys.argv[1]), Plan(delay=float(sys.argv[2]))) as proxy:
        print(proxy.port, flush=True)
        sys.stdin.read()
        print(json.dumps({"connections": proxy.connections, "requests": proxy.requests}))


if __name__ == "__main__":
    main()
