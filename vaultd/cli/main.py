"""The `vaultd` command: its group, its global options, and errors as exit codes."""

from __future__ import annotations

import sys
import traceback

import click

from vaultd import __version__
from vaultd.cli import (
    place_commands,
    pod_commands,
    restore_commands,
    setup_commands,
    story_command,
    target_commands,
    upkeep_commands,
)
from vaultd.errors import VaultdError

EXIT_CODES = """\b
Exit codes: 0 fine · 1 bug · 2 usage or config · 3 some accounts failed, the others are done ·
4 damage or forgery found (named) · 5 wrong key or words · 6 place or database cannot be reached.
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vaultd")
def cli() -> None:
    """Encrypted off-site backup and restore for diaspora* pods."""


for module in (
    setup_commands,
    pod_commands,
    upkeep_commands,
    restore_commands,
    place_commands,
    target_commands,
    story_command,
):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Run the command line; never returns."""
    try:
        code = cli.main(standalone_mode=False)
    except VaultdError as error:
        click.echo(f"vaultd: {error.message}", err=True)
        if error.hint:
            click.echo(f"        {error.hint}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.Abort:
        click.echo("vaultd: stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except Exception:
        # The one place where a bug ends: name it as such, with where it happened but no data.
        traceback.print_exc()
        click.echo("vaultd: this is a bug in vaultd; please report the lines above.", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
