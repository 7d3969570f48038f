"""`vaultd demo`: a pod lives, is backed up, dies, and three of its accounts come back.

Everything here goes through the same functions as the commands; nothing is shown that was not
done. With `keep`, the dead pod is put back at the end so that the story can go on by hand.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.backends.opening import open_place
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, load
from vaultd.demo.comparison import Comparison, compare, remember
from vaultd.demo.damage import Shown, show_damage
from vaultd.demo.day import live_a_day
from vaultd.demo.pod import DemoPod, build_pod
from vaultd.keys import Kit, PodKey, Secrets, generate_secret, kit, parse_pod_key
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.html import write_html
from vaultd.restore.records_out import write_records
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.sizes import plural
from vaultd.state.store import State

Say = Callable[[str, str], None]
PLACE = "vaults"


@dataclass(slots=True)
class RunFigures:
    """What one run cost."""

    looked_at: int
    changed: int
    failed: int
    archives: int
    bytes: int
    seconds: float

    @classmethod
    def of(cls, report: RunReport) -> RunFigures:
        """Take the figures of a run report."""
        return cls(
            report.looked_at,
            report.written,
            len(report.failed),
            report.archives,
            report.bytes,
            round(report.seconds, 2),
        )


@dataclass(slots=True)
class Story:
    """All that the summary says; `page` is the page to open."""

    directory: Path
    accounts: int = 0
    enrolled: int = 0
    runs: list[RunFigures] = field(default_factory=list)
    day: dict[str, int] = field(default_factory=dict)
    restored: dict[str, dict[str, int]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    damage: list[Shown] = field(default_factory=list)
    page: Path | None = None
    seconds: float = 0.0

    @property
    def fine(self) -> bool:
        """Whether every record came back as it was and all damage was found."""
        return all(c.equal for c in self.comparisons) and all(s.found for s in self.damage)


def write_config(directory: Path, pod: DemoPod) -> Path:
    """Write `config.toml` of the demo pod and return its path."""
    path = directory / "config.toml"
    path.write_text(
        "# The demo pod. Try: vaultd check --config config.toml\n"
        f'[pod]\nurl = "{pod.pod_url}"\ndatabase = "{pod.database_url}"\nuploads = "{pod.uploads}"\n'
        f'[state]\npath = "{directory / "state"}"\n'
        f'[targets.main]\nurl = "{(directory / PLACE).as_uri()}"\n',
        encoding="utf-8",
    )
    return path


def tell(directory: Path, say: Say, *, keep: bool) -> Story:
    """Run the whole story in an existing empty folder; `say(mark, sentence)` tells it."""
    began = time.monotonic()
    story = Story(directory)
    say("1", "A pod comes to life …")
    pod = build_pod(directory, accounts=60)
    config = load(write_config(directory, pod), {})
    state_path, kits = directory / "state", directory / "kits"
    for folder in (state_path, kits, directory / PLACE):
        folder.mkdir(mode=0o700)
    pod_key = PodKey.load_or_create(state_path / "pod.key")
    state = State(state_path)
    source = open_source(config)
    story.accounts = len(source.accounts())
    place_url = (directory / PLACE).as_uri()
    for account in source.accounts():
        if account.state == "incomplete":
            continue
        secret = generate_secret()
        kit.write(
            kits / f"{account.username}.txt",
            Kit(secret, (pod_key.fingerprint,), (place_url,), account.handle),
        )
        enroll(state, source, account.username, Secrets.from_secret(secret).recipient)
        story.enrolled += 1
    say(
        "✓",
        f"{plural(story.accounts, 'account')}, {story.enrolled} enrolled, each with its own kit",
    )

    say("2", "The first night: everything is backed up …")
    story.runs.append(_run(config, state, pod_key, say))
    say("3", "A day passes: people write, change their minds, delete …")
    story.day = _sum(live_a_day(pod))
    say("✓", ", ".join(f"{count} {what}" for what, count in story.day.items() if count))
    say("4", "The second night: only what changed …")
    story.runs.append(_run(config, state, pod_key, say))

    names = _three(source_names(config))
    expected = {name: remember(open_source(config), name) for name in names}
    state.close()
    with _dead(directory, keep=keep):
        say("5", "The pod dies. Its database, its pictures and all state of vaultd are deleted.")
        _bring_back(story, names, expected, say)
        say("7", "And if somebody tampers, or mistypes?")
        story.damage = show_damage(
            directory / PLACE, kits / f"{names[0]}.txt", directory / "tamper"
        )
        shutil.rmtree(directory / "tamper")
        for shown in story.damage:
            say(
                "✓" if shown.found else "✗",
                f"{shown.what}: {shown.message} (exit {shown.exit_code})",
            )
    story.seconds = round(time.monotonic() - began, 1)
    return story


def source_names(config: Config) -> list[str]:
    """Return the names of accounts that the second night wrote, most records first.

    What others say of themselves (`person`) makes no archive by itself: an account that was left
    alone has it as of the first night.
    """
    state = State(Path(config.state.path))
    again = {v.username for v in state.vaults.summaries() if v.last_sequence > 1}
    counts = {e.id: e.username for e in state.enrollments(again)}
    records = state.vaults.record_counts(list(counts))
    state.close()
    return [counts[i] for i in sorted(counts, key=lambda i: -records.get(i, 0))]


def _three(names: list[str]) -> list[str]:
    return [names[0], names[len(names) // 4], names[len(names) // 2]]


def _run(config: Config, state: State, pod_key: PodKey, say: Say) -> RunFigures:
    report = run_backup(config, state, open_source(config), open_targets(config), pod_key)
    figures = RunFigures.of(report)
    per = figures.bytes // max(figures.changed, 1)
    say(
        "✓",
        f"{plural(figures.looked_at, 'account')} looked at, {figures.changed} changed, "
        f"{figures.bytes:,} bytes stored ({per:,} per changed account), {figures.seconds} s",
    )
    return figures


def _sum(report: object) -> dict[str, int]:
    total: Counter[str] = Counter()
    for what in ("added", "changed", "deleted"):
        counts = getattr(report, what)
        total[what] = counts if isinstance(counts, int) else sum(counts.values())
    return dict(total)


@contextmanager
def _dead(directory: Path, *, keep: bool) -> Iterator[None]:
    """Without `keep` the pod and the state are gone for good; with it, out of reach meanwhile."""
    away = directory.parent / f".{directory.name}-dead-pod"
    parts = [directory / name for name in ("pod.sqlite3", "uploads", "state")]
    if keep:
        away.mkdir(mode=0o700)
    for part in parts:
        if keep:
            part.rename(away / part.name)
        elif part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()
    try:
        yield
    finally:
        if keep:
            for part in parts:
                (away / part.name).rename(part)
            away.rmdir()


def _bring_back(
    story: Story, names: list[str], expected: dict[str, dict[tuple[str, str], bytes]], say: Say
) -> None:
    directory = story.directory
    say("6", "Three people walk to another pod, each with one sheet of paper …")
    for name in names:
        sheet = kit.read(directory / "kits" / f"{name}.txt")
        vault = open_with_kit(
            open_place(sheet.places[0]),
            Secrets.from_secret(sheet.secret),
            [parse_pod_key(k) for k in sheet.pod_keys],
        )
        snapshot = Snapshot(vault, vault.at(None))
        out = directory / "restored" / name
        for form in ("records", "diaspora", "html"):
            (out / form).mkdir(parents=True)
        story.restored[name] = dict(write_records(snapshot, out / "records"))
        write_diaspora(snapshot, out / "diaspora")
        write_html(snapshot, out / "html")
        comparison = compare(name, snapshot, expected[name])
        story.comparisons.append(comparison)
        say("✓" if comparison.equal else "✗", comparison.sentence)
    story.page = directory / "restored" / names[0] / "html" / "index.html"
