"""How the command line talks: results to standard output, remarks and errors to standard error.

With `--json` exactly one JSON document goes to standard output, with the keys that
`docs/operations.md` lists; progress is shown on a terminal only.
"""

from __future__ import annotations

from collections.abc import Mapping

import click

from vaultd.sizes import plural
from vaultd.sizes import shown_bytes as size

__all__ = ["emit_json", "line", "plural", "remark", "size"]


def emit_json(document: Mapping[str, object]) -> None:
    """Print one JSON document; in plain ASCII where the output cannot take every character."""
    import json
    import sys

    from vaultd.cli.encoding import is_unicode

    click.echo(json.dumps(document, ensure_ascii=not is_unicode(sys.stdout), indent=2, default=str))


def line(mark: str, text: str, *, ok: bool = True) -> None:
    """Print one line with a mark in front, green or red on a terminal."""
    click.echo(f"{click.style(mark, fg='green' if ok else 'red')} {text}")


def remark(text: str) -> None:
    """Print a remark on standard error."""
    click.echo(f"vaultd: {text}", err=True)
