"""docs/performance.md and its plots, from the figures that were measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, Final

from bench import plots
from bench.pod import KNOWN_PODS
from bench.report_targets import far_targets
from bench.tables import Table
from bench.tables import row as _row

_STAGES: Final = {
    "read": "COPY of the same tables",
    "pack": "msgpack.packb",
    "compare": "BLAKE2b of all bytes at once",
    "compress": "zstd -3 of all bytes at once",
    "encrypt": "secretstream, 256 KiB chunks",
    "write": "write and fsync",
}
_KIB: Final = 1024


def write_report(figures: dict[str, Any], docs: Path) -> str:
    """Write the page and its plots for the parts that were measured; return the page.

    `docs` is the folder that takes performance.md and the SVGs.
    """
    page = [
        "# Performance",
        "",
        "Written by `make bench`; one machine, one run: read ratios and shares, not seconds.",
        f"Python {platform.python_version()}, {os.cpu_count()} cores. vaultd's times are those of "
        "a run in a process that is up already (the daemon); peers' are of the whole command.",
        "",
    ]
    if "pod" in figures:
        page += _pod(docs, figures["pod"], figures.get("big"), figures.get("year"))
    if "big" in figures:
        page += _big(docs, figures["big"], figures.get("pod"), figures.get("tiny"))
    if "year" in figures:
        page += _year(docs, figures["year"])
    if "stages" in figures:
        page += _stages(figures["stages"])
    if "heavy" in figures:
        page += _heavy(figures["heavy"])
    if "targets" in figures:
        page += far_targets(figures["targets"])
    text = "\n".join(page)
    (docs / "performance.md").write_text(text, encoding="utf-8")
    return text


def _pod(
    docs: Path, f: dict[str, float], big: dict[str, float] | None, year: dict[str, Any] | None
) -> Table:
    best = min(f["restic_again"], f["borg_again"])
    allowed = f["changed_packed"] / f["changed_accounts"] + 1.5 * _KIB
    stored = f["changed_stored"] / f["changed_accounts"]
    rows = [
        f"## A pod of {f['accounts']:,.0f} accounts",
        "",
        f"{f['records']:,.0f} records, {f['exports'] / 1e6:,.0f} MB as export JSON, PostgreSQL, "
        f"folder target; vaultd stored {f['stored'] / 1e6:,.1f} MB in {f['accounts']:,.0f} "
        f"archives (tar, zstd and age: {f['age_stored'] / 1e6:,.1f} MB).",
        "",
        "| figure | target | measured | |",
        "|---|---|---|---|",
        _row(
            "full backup, reading the database included, beside `tar, zstd -3, age` per account "
            "on ready-made files",
            "4 times as fast",
            f"{f['age'] / f['full']:.2f} times as fast",
            f["age"] >= 4 * f["full"],
        ),
        _row(
            "the same beside restic, one repository and one key",
            "no slower",
            f"{f['restic'] / f['full']:.2f} times as fast",
            f["restic"] >= f["full"],
        ),
        _row(
            "a run in which nothing was written, beside the best of restic and borg",
            "20 times as fast",
            f"{best / f['untouched']:.1f} times as fast",
            best >= 20 * f["untouched"],
        ),
        _row(
            "a run after sign-ins, in which no archive changes, beside the same",
            "20 times as fast",
            f"{best / f['noise']:.1f} times as fast",
            best >= 20 * f["noise"],
        ),
        _row(
            f"a run in which {f['changed_accounts']:.0f} accounts wrote something",
            "3 times the run after sign-ins",
            f"{f['changed'] / f['noise']:.1f} times",
            f["changed"] <= 3 * f["noise"],
        ),
        _row(
            "bytes stored by it per changed account",
            f"{allowed:,.0f} (records compressed + 1.5 KiB)",
            f"{stored:,.0f}",
            stored <= allowed,
        ),
        _row(
            f"restore of {f['restore_records']:,.0f} records, beside `age -d, zstd -d`",
            "2 times its time",
            f"{f['restore'] / f['age_unpack']:.1f} times",
            f["restore"] <= 2 * f["age_unpack"],
        ),
        _row(
            "`verify` without a key, beside `b2sum` of the same files",
            "2 times its time",
            f"{f['verify'] / f['b2sum']:.1f} times",
            f["verify"] <= 2 * f["b2sum"],
        ),
        _row(
            "memory of the largest process in the full backup",
            "150 MB",
            f"{f['largest'] * 1.048576:.0f} MB",
            f["largest"] <= 143,
        ),
        _row(
            "memory of all three processes together, shared pages once",
            "150 MB",
            f"{f['together'] * 1.048576:.0f} MB",
            f["together"] <= 143,
        ),
    ]
    if big is not None:
        each = big["noise"] / big["accounts"] * 1e6
        rows += [
            _row(
                f"one unchanged account among {big['accounts']:,.0f}",
                "100 µs",
                f"{each:.0f} µs",
                each <= 100,
            ),
            _row(
                f"memory of the largest process at {big['accounts']:,.0f} accounts",
                "150 MB",
                f"{big['largest'] * 1.048576:.0f} MB",
                big["largest"] <= 143,
            ),
        ]
    if year is not None:
        rows += [
            _row(
                f"bytes stored after {year['days']} nights, beside one fresh full",
                "2 times",
                f"{year['stored'][-1] / year['fresh']:.2f} times",
                year["stored"][-1] <= 2 * year["fresh"],
            ),
            _row(
                "restore of the newest point then, beside one from a full",
                "1.5 times",
                f"{year['restore'] / year['restore_fresh']:.2f} times",
                year["restore"] <= 1.5 * year["restore_fresh"],
            ),
        ]
    bars = [
        ("vaultd (from the database)", f["exports"] / f["full"] / 1e6),
        ("tar, zstd, age", f["exports"] / f["age"] / 1e6),
        ("restic, one repository", f["exports"] / f["restic"] / 1e6),
        (
            "restic, one per account",
            f["exports"] / (f["restic_each"] * f["accounts"]) / 1e6,
        ),
        ("borg, one repository", f["exports"] / f["borg"] / 1e6),
    ]
    plots.bars(
        docs / "throughput.svg", "Full backup: export JSON per second", "MB per second", bars
    )
    return [*rows, "", "![Throughput of a full backup](throughput.svg)", "", *_why(f)]


def _why(f: dict[str, float]) -> Table:
    return [
        "The peers find their files ready: no database is asked, no JSON made, and nothing is",
        "remembered of single records. Of the full backup's "
        f"{f['cpu'] + f['cpu_database']:.1f} seconds of processor time on {os.cpu_count()} cores "
        f"{f['cpu_database']:.1f} are the database's, for sending the rows and hashing them once.",
        "The rest is Python turning rows into records (see the stages below), starting its workers",
        "and making an archive of its own for each account, with two signatures, two seals and",
        f"three syncs of the disk. Each vault also names the {KNOWN_PODS:,} pods that this pod",
        "knows, which no export file does. A prototype that only packs, compresses and encrypts",
        "ready records is as fast as restic. A repository per account, which one key per account",
        "means for restic, takes "
        f"{f['restic_each'] * f['accounts'] / f['full']:,.0f} times as long as vaultd for a full",
        f"backup and {f['restic_each_again'] * f['accounts'] / f['noise']:,.0f} times as long for "
        "a run without changes (measured on a sample).",
        "",
        f"The first run with few changed accounts takes {f['changed_first']:.2f} s after a start",
        f"of the daemon, a later one {f['changed']:.2f} s: then all statements are compiled.",
        "",
        "A restore makes Python values of every record, to check and order them, and JSON of",
        "these, where the peers stream bytes; it also syncs what it wrote. Verifying takes all",
        "cores where `b2sum` takes one, but checks two signatures of each archive besides its",
        "hash, which cost more than that does, and has Python to start.",
        "",
    ]


def _big(
    docs: Path, f: dict[str, float], pod: dict[str, float] | None, tiny: dict[str, float] | None
) -> Table:
    sizes = [p for p in (tiny, pod, f) if p is not None]
    plots.lines(
        docs / "unchanged.svg",
        "A run without changes: microseconds per account",
        "accounts on the pod",
        [
            ("after sign-ins", [(p["accounts"], p["noise"] / p["accounts"] * 1e6) for p in sizes]),
            (
                "database untouched",
                [(p["accounts"], p["untouched"] / p["accounts"] * 1e6) for p in sizes],
            ),
        ],
        decades=True,
    )
    return [
        f"## A pod of {f['accounts']:,.0f} accounts",
        "",
        "| run | seconds | per account |",
        "|---|---|---|",
        f"| full backup ({f['records']:,.0f} records) | {f['full']:.1f} "
        f"| {f['full'] / f['accounts'] * 1e3:.2f} ms |",
        f"| nothing written | {f['untouched']:.2f} "
        f"| {f['untouched'] / f['accounts'] * 1e6:.1f} µs |",
        f"| after sign-ins of everybody | {f['noise']:.2f} "
        f"| {f['noise'] / f['accounts'] * 1e6:.0f} µs |",
        f"| {f['changed_accounts']:.0f} accounts changed | {f['changed']:.2f} "
        f"| {f['changed_stored'] / f['changed_accounts']:,.0f} bytes stored each |",
        "",
        f"Memory: largest process {f['largest']:.0f} MiB, all together {f['together']:.0f} MiB.",
        "",
        "![Cost of an unchanged account](unchanged.svg)",
        "",
    ]


def _year(docs: Path, f: dict[str, Any]) -> Table:
    stored = [(day, size / 1e3) for day, size in enumerate(f["stored"])]
    fresh = [(0, f["fresh"] / 1e3), (f["days"], f["fresh"] / 1e3)]
    plots.lines(
        docs / "year.svg",
        "A lively account, an archive every night",
        "nights; kB stored",
        [("stored", stored), ("one fresh full on the last night", fresh)],
    )
    return [
        f"## {f['days']} nights of one lively account",
        "",
        f"{f['records']:,} records in the end; {f['objects']} archives are kept, of which the "
        f"newest point opens {f['opened']}. Stored: {f['stored'][-1] / f['fresh']:.2f} times one "
        f"fresh full, at most {max(f['stored']) / f['fresh']:.2f} times that of the last night.",
        "",
        "![Stored bytes](year.svg)",
        "",
    ]


def _stages(f: dict[str, Any]) -> Table:
    seconds, records = f["seconds"], f["records"]
    total = sum(seconds[name] for name in _STAGES)
    rows = [
        "## Where the time of a full backup goes",
        "",
        f"Each stage alone on the same {records:,} records ({f['plain'] / 1e6:.1f} MB packed) of a "
        "PostgreSQL pod, one core; and the bare operation that it cannot be faster than.",
        "",
        "| stage | share | records/s | raw limit | records/s |",
        "|---|---|---|---|---|",
    ]
    for name, raw in _STAGES.items():
        limit = f"{records / seconds[f'raw {name}']:,.0f}" if raw else ""
        rows.append(
            f"| {name} | {seconds[name] / total:.0%} | {records / seconds[name]:,.0f} "
            f"| {raw} | {limit} |"
        )
    return [*rows, ""]


def _heavy(by_size: dict[str, dict[str, float]]) -> Table:
    sizes = list(by_size.values())
    heavy = sizes[len(sizes) // 2]
    ratio = sizes[-1]["backup_peak_mib"] / sizes[0]["backup_peak_mib"]
    return [
        f"## One heavy account on SQLite ({heavy['records']:,} records)",
        "",
        "| figure | value |",
        "|---|---|",
        f"| full backup | {heavy['records'] / heavy['full']:,.0f} records/s per core |",
        f"| reading the database alone | {heavy['read'] / heavy['full']:.2f} of a full backup |",
        f"| stored | {heavy['bytes'] / heavy['records']:.0f} bytes per record |",
        f"| restore to records | {heavy['restore'] / heavy['records'] * 10_000:.2f} s per 10,000 |",
        "",
        "| records | peak memory of a backup | with restore |",
        "|---|---|---|",
        *(
            f"| {f['records']:,} | {f['backup_peak_mib']:.0f} MiB | {f['peak_mib']:.0f} MiB |"
            for f in sizes
        ),
        "",
        f"From {sizes[0]['records']:,} to {sizes[-1]['records']:,} records: {ratio:.2f} times the "
        "memory in a backup.",
        "",
    ]
