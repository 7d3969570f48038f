"""`restore-report.txt`: what the diaspora* archive does not hold as it was, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Section(Enum):
    """The chapters of the report, in the order a reader wants them."""

    DAMAGE = "Damaged or missing in the vault"
    LEFT_OUT = "Left out of the archive, because diaspora*'s importer would stop at it or refuse it"
    CHANGED = "Changed, so that the importer takes it"
    PASSED_OVER = "In the archive as diaspora*'s own exporter writes it, but the importer skips it"
    NO_PLACE = "Kept in the vault only: a diaspora* archive has no place for it"
    NOTE = "Good to know before the import"


@dataclass(slots=True)
class Group:
    """One reason with the number of things it met and, where they have names, their names."""

    reason: str
    count: int = 0
    items: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """What was written and what was not; `lines()` is the text of `restore-report.txt`.

    `counts` are the point's records by kind, `written` the archive's items.
    """

    account: str
    at: str
    written: Counter[str] = field(default_factory=Counter)
    sections: dict[Section, dict[str, Group]] = field(default_factory=dict)
    obstacles: list[str] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)

    def add(self, section: Section, reason: str, item: str | None = None, count: int = 1) -> None:
        """Count `count` more things under a reason; `item` names one."""
        if count < 1:
            return
        group = self.sections.setdefault(section, {}).setdefault(reason, Group(reason))
        group.count += count
        if item is not None:
            group.items.append(item)

    def obstacle(self, reason: str, item: str) -> None:
        """Note what would stop the import as a whole; the command line says it at once, too."""
        self.add(Section.NOTE, reason, item)
        self.obstacles.append(f"The {reason} ({item})")

    def count(self, section: Section) -> int:
        """Return how many things a section lists."""
        return sum(group.count for group in self.sections.get(section, {}).values())

    def groups(self, section: Section) -> list[Group]:
        """Return a section's groups in the order they were met."""
        return list(self.sections.get(section, {}).values())

    def lines(self) -> Iterator[str]:
        """Yield the report's lines."""
        yield f"Restore report of {self.account} as of {self.at}"
        yield ""
        yield "The archive holds:"
        for what, number in self.written.items():
            yield f"  {number:>7}  {what}"
        yield ""
        yield "To import, the new pod's administrator runs  bin/rake accounts:migration  with the"
        yield "two files beside this report. The archive holds the account's private key as it is:"
        yield "whoever has it can move the account. Delete it when the import is done."
        yield "Mentions of the old address inside texts stay as they are; the importer does not"
        yield "rewrite them."
        for section in Section:
            groups = self.groups(section)
            if not groups:
                continue
            yield ""
            yield ""
            title = f"{section.value} ({self.count(section)})"
            yield title
            yield "-" * len(title)
            for group in groups:
                yield ""
                yield f"{group.count} x {group.reason}"
                for item in group.items:
                    yield f"    - {_one_line(item)}"
        if not any(self.sections.values()):
            yield ""
            yield "Nothing was left out or changed."


def _one_line(text: str) -> str:
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return line if len(line) <= 300 else line[:299] + "…"
