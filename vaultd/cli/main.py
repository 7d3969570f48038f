"""The `vaultd` command: its group, its global options, and errors as exit codes."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final, NoReturn

import click

from vaultd import __version__
from vaultd.cli.encoding import print_anywhere
from vaultd.cli.output import complain, emit_error, remark, say
from vaultd.errors import UsageError, VaultdError
from vaultd.printable import trace_without_values

_MODULES: Final = {
    "setup": ("init", "check", "keygen", "recipient"),
    "status": ("status",),
    "pod": ("enroll", "backup", "run", "pause", "resume"),
    "account": ("unenroll",),
    "upkeep": ("forget", "scrub"),
    "restore": ("restore",),
    "verify": ("archives", "verify"),
    "place": ("copy", "connect"),
    "pull": ("pull",),
    "target": ("target",),
    "demo": ("demo",),
}
_HOME: Final = {name: module for module, names in _MODULES.items() for name in names}

EXIT_CODES = """\b
Exit codes: 0 fine · 1 bug · 2 usage or config · 3 some accounts failed, the others are done ·
4 damage or forgery found (named) · 5 wrong key or words · 6 place or database cannot be reached,
or no vault is there · 130 stopped by Ctrl-C.
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
            f"vaultd.cli.commands.{_HOME[cmd_name]}"
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
        complain(error)
        _fail(error.exit_code, error.code, str(error))
    except (click.exceptions.Abort, KeyboardInterrupt):
        remark("stopped.")
        _fail(130, "stopped", "Stopped.")
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            say(error.ctx.get_usage(), err=True)
        remark(error.format_message())
        _fail(2, UsageError.code, error.format_message())
    except BrokenPipeError:
        _quietly()
    except Exception as error:
        # The one place where a bug ends: name it as such, with where it happened but no data.
        say(trace_without_values(error), err=True)
        remark("this is a bug in vaultd; please report the lines above.")
        _fail(1, "bug", f"This is a bug in vaultd ({type(error).__name__}).")
    sys.exit(code if isinstance(code, int) else 0)


def _fail(exit_code: int, code: str, sentence: str) -> NoReturn:
    """End with an exit code, and with a document where one was asked for."""
    if "--json" in sys.argv[1:]:
        emit_error(code, sentence)
    sys.exit(exit_code)


def _quietly() -> NoReturn:
    """End as one whose reader went away, without a complaint when the streams are closed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
