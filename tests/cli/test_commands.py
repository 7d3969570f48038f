"""The commands are found by name, and one of them does not load what the others need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.vault import small_vault as small
from vaultd.backends.folder.backend import FolderBackend
from vaultd.cli.main import cli

COMMANDS = (
    "archives backup check connect copy demo enroll forget init keygen pause pull recipient restore "
    "resume run scrub status target unenroll verify"
).split()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert f" {name} " in result.output


def test_the_help_lists_all_commands_and_an_unknown_one_is_a_usage_error() -> None:
    assert cli.list_commands(click.Context(cli)) == COMMANDS
    listed = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"\n  {name} " in listed for name in COMMANDS)
    assert CliRunner().invoke(cli, ["nothing"]).exit_code == 2


def test_verifying_a_folder_loads_no_library_of_other_commands(tmp_path: Path) -> None:
    place = FolderBackend(tmp_path)
    _, _, packed, blob = small.build()
    for each in (*packed, blob):
        place.create(each.name, each.open(), each.size)
    code = (
        "import sys\n"
        "from vaultd.cli.main import cli\n"
        f"code = cli.main(['verify', '--from', 'file://{tmp_path}'], standalone_mode=False)\n"
        "assert code == 0, code\n"
        "print(*sys.modules, sep='\\n')\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert loaded[0].endswith("all sound.")
    heavy = {"sqlalchemy", "alembic", "boto3", "psycopg", "httpx", "paramiko"}
    heavy |= {"zstandard", "msgpack", "mnemonic", "vaultd.config", "vaultd.state"}
    assert not heavy & set(loaded)
