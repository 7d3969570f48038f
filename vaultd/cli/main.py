"""The `vaultd` command: its group, its global options, and errors as exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

import click

from vaultd import __version__
from vaultd.cli.encoding import print_anywhere
from vaultd.errors import VaultdError

_MODULES: Final = {
    "setup_commands": ("init", "check", "keygen", "recipient"),
    "status_command": ("status",),
    "pod_commands": ("enroll", "backup", "run", "pause", "resume"),
    "account_commands": ("unenroll",),
    "upkeep_commands": ("forget", "scrub"),
    "restore_commands": ("archives", "verify", "restore"),
    "place_commands": ("copy", "connect"),
    "pull_commands": ("pull",),
    "target_commands": ("target",),
    "story_command": ("demo",),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}

EXIT_CODES = """\b
Exit codes: 0 fine · 1 bug · 2 usage or config · 3 some accounts failed, the others are done ·
4 damage or forgery found (named) · 5 wrong key or words · 6 place or database cannot be reached.
"""


class _Commands(click.Group):
    """Imports a command's module when it is asked for: one command needs few libraries."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_HOME)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002
        cmd_name: str,
    ) -> click.Command | None:
        if cmd_name not in _HOME:
            return None
        commands: tuple[click.Command, ...] = import_module(
            f"vaultd.cli.{_HOME[cmd_name]}"
        ).COMMANDS
        return next(command for command in commands if command.name == cmd_name)


@click.group(
    cls=_Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="vaultd")
def cli() -> None:
    """Encrypted off-site backup and restore for diaspora* pods."""


def main() -> None:
    """Run the command line; never returns."""
    print_anywhere()
    try:
        code = cli.main(standalone_mode=False)
    except VaultdError as error:
        click.echo(f"vaultd: {error.message}", err=True)
        if error.hint:
            click.echo(f"        {error.hint}", err=True)
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("vaultd: stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except Exception:
        # The one place where a bug ends: name it as such, with where it happened but no data.
        import traceback

        traceback.print_exc()
        click.echo("vaultd: this is a bug in vaultd; please report the lines above.", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
