"""`vaultd demo`: the whole line on a made-up pod, told on one screen."""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural, size, styled
from vaultd.demo.telling import Story, tell
from vaultd.errors import DamageError, UsageError


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave config, pod, vaults and kits in DIR, to go on by hand.",
)
@click.option("--config", "config_path", type=click.Path(path_type=Path), hidden=True)
@AS_JSON
def demo(keep: Path | None, config_path: Path | None, as_json: bool) -> int:
    """Build a pod, back it up, lose it, and bring three accounts back."""
    directory = keep or Path(tempfile.mkdtemp(prefix="vaultd-demo-"))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{directory} cannot be made ({error.strerror}).") from error
    if any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty.", hint="Give the demo a new folder.")
    story = tell(directory.resolve(), _quiet if as_json else _say, keep=keep is not None)
    if as_json:
        emit_json(
            {
                "directory": str(story.directory),
                "accounts": story.accounts,
                "enrolled": story.enrolled,
                "runs": [asdict(run) for run in story.runs],
                "day": story.day,
                "restored": story.restored,
                "comparisons": [
                    {"username": c.username, "equal": c.equal, "records": c.equal_records}
                    for c in story.comparisons
                ],
                "damage": [asdict(shown) for shown in story.damage],
                "page": str(story.page),
                "seconds": story.seconds,
                "fine": story.fine,
            }
        )
    else:
        _summary(story, kept=keep is not None)
    return 0 if story.fine else DamageError.exit_code


def _program() -> str:
    """Return how vaultd is called here: by its path, unless the shell finds this very one."""
    own = Path(sys.argv[0])
    found = shutil.which("vaultd")
    if own.name != "vaultd" or not own.is_file():
        return f"{shlex.quote(sys.executable)} -m vaultd"
    same = found is not None and Path(found).resolve() == own.resolve()
    return "vaultd" if same else shlex.quote(str(own.resolve()))


def _quiet(mark: str, sentence: str) -> None:
    """Say nothing: the JSON document says it all at the end."""


def _say(mark: str, sentence: str) -> None:
    if mark.isdigit():
        click.echo(f"\n{styled(mark, colour='cyan', bold=True)}  {styled(sentence, bold=True)}")
    else:
        line(f"   {mark}", sentence, ok=mark == "✓")


def _summary(story: Story, *, kept: bool) -> None:
    first, second = story.runs
    records = sum(c.equal_records for c in story.comparisons)
    rows = [
        ("accounts", f"{story.accounts}, {story.enrolled} enrolled"),
        (
            "first night",
            f"{plural(first.changed, 'archive')}, {size(first.bytes)}, {first.seconds} s",
        ),
        (
            "second night",
            f"{second.changed} of {second.looked_at} changed, "
            f"{size(second.bytes)}, {second.seconds} s",
        ),
        (
            "came back",
            f"{plural(len(story.comparisons), 'account')}, {records:,} records, all compared",
        ),
        (
            "tampering",
            f"{sum(s.found for s in story.damage)} of {len(story.damage)} found and named",
        ),
    ]
    rule = styled("─" * 64, colour="cyan")
    click.echo(f"\n{rule}")
    for label, text in rows:
        click.echo(f"  {label:<13} {text}")
    click.echo(rule)
    mark = styled("✓", colour="green") if story.fine else styled("✗", colour="red")
    click.echo(f"  {mark} done in {story.seconds} s. Open this page:")
    click.echo(f"  {story.page}\n")
    if kept:
        config = shlex.quote(str(story.directory / "config.toml"))
        click.echo(f"  Go on by hand: {_program()} status --config {config}\n")


COMMANDS = (demo,)
