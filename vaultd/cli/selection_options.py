"""`--only`, `--since`, `--until`: the options of commands that take a part of an account."""

from __future__ import annotations

import click

ONLY = click.option(
    "--only", multiple=True, metavar="posts,contacts", help="Only these kinds of records."
)
SINCE = click.option("--since", metavar="TIME", help="Only what was made then or later.")
UNTIL = click.option("--until", metavar="TIME", help="Only what was made before.")
