"""The option `--json`, the same for every command that has it."""

from __future__ import annotations

import click

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
