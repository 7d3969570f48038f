"""`make bench`: measure, print, and write docs/performance.md with its plots.

python -m bench [--quick] [PART …]

Figures of parts that are not measured now are taken from docs/performance.json. `--quick`
measures everything small, to see that it works, and writes into a temporary folder.
"""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import report, targets
from bench.pod import FIFTY_THOUSAND, TWO_THOUSAND, Shape
from bench.scale import big_pod, small_pod
from bench.stages import stages
from bench.year import year

_HUNDREDS = Shape(1, 19, 180)
_FEW = Shape(1, 2, 17, of_heavy=(50, 3, 1, 5, 20))


def _heavy(sizes: tuple[int, ...]) -> dict[str, Any]:
    def run(argument: str) -> str:
        command = [sys.executable, "-m", "bench.heavy", argument]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    folders = {size: run(str(size)) for size in sizes}
    return {str(size): json.loads(run(folder)) for size, folder in folders.items()}


PARTS: dict[str, Callable[[bool], Any]] = {
    "heavy": lambda quick: _heavy((100, 200, 300) if quick else (1_000, 20_000, 100_000)),
    "tiny": lambda quick: big_pod(_FEW if quick else _HUNDREDS, 2),
    "pod": lambda quick: small_pod(_FEW if quick else TWO_THOUSAND),
    "big": lambda quick: big_pod(_FEW, 2) if quick else big_pod(FIFTY_THOUSAND, 500),
    "year": lambda quick: year(5 if quick else 365),
    "stages": lambda quick: stages(_FEW if quick else _HUNDREDS),
    "targets": lambda quick: targets.targets(targets.QUICK if quick else targets.FULL),
}


def main() -> None:
    """Measure the parts that are named, or all."""
    words = sys.argv[1:]
    quick = "--quick" in words
    wanted = [word for word in words if word != "--quick"] or list(PARTS)
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        sys.exit(f"There is no part {unknown[0]!r}; there are {', '.join(PARTS)}.")
    # An installed vaultd is compiled; here every process might compile it for itself.
    compileall.compile_dir("vaultd", quiet=1)
    kept = Path("docs/performance.json")
    figures: dict[str, Any] = {}
    if not quick and kept.exists():
        figures = json.loads(kept.read_text())
    for name in wanted:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        figures[name] = PARTS[name](quick)
        if not quick:
            kept.write_text(json.dumps(figures, indent=1) + "\n")
    folder = Path(tempfile.mkdtemp(prefix="vaultd-bench-")) if quick else Path("docs")
    print(report.write_report(figures, folder))
    print(f"written to {folder}", file=sys.stderr)


if __name__ == "__main__":
    main()
