"""A restore that took an older point because the newer one does not open says so."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.vault import small_vault as small
from vaultd.errors import ObjectMissing
from vaultd.keys import PodKey, Secrets
from vaultd.restore.passed_over import passed_over
from vaultd.restore.snapshot import open_with_kit
from vaultd.vault.file_key import wrap_key
from vaultd.vault.header import Header, decode_header, encode_header
from vaultd.vault.layout import ARCHIVE_MAGIC, archive_name
from vaultd.vault.writer import PackedObject

DAYS = 4
ENDS = (None, "2026-11-30", "2026-11-04T03:00:00Z")
FORGER = PodKey(b"a forgers pod key, also 32 byte.")
OTHER = Secrets.from_secret(b"somebody elses w")


class Hollow(small.Objects):
    """Lists objects that it does not give."""

    hollow: frozenset[str] = frozenset()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if name in self.hollow:
            raise ObjectMissing(f"{name} is not there.")
        return super().read(name, offset, length)


def vault_of_days() -> tuple[Hollow, Secrets, list[PackedObject]]:
    """An archive a day, of which each stands alone."""
    secrets = Secrets.from_secret(small.SECRET)
    packed: list[PackedObject] = []
    for day in range(1, DAYS + 1):
        before = packed[-1] if packed else None
        records = [small.post(f"p{n}", "text") for n in range(day)]
        packed.append(
            small.pack(secrets, small.POD_KEY, day, before, (), [*records], {"post": day})
        )
    return Hollow({p.name: p.open().read() for p in packed}), secrets, packed


def spoil(place: Hollow, name: str, how: str) -> None:
    data = place.data[name]
    if how == "missing":
        place.hollow |= {name}
    elif how == "header":
        place.data[name] = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    elif how == "manifest":
        _, end = decode_header(ARCHIVE_MAGIC, data, name)
        place.data[name] = data[: end + 40] + bytes([data[end + 40] ^ 1]) + data[end + 41 :]
    elif how == "empty":
        place.data[name] = b""


def put_header(
    place: Hollow, secrets: Secrets, reader: Secrets, pod: PodKey, moment: str | None
) -> str:
    """Put an archive of the vault beside the others, sealed to `reader`, and return its name."""
    header = Header(
        vault=bytes.fromhex(secrets.recipient.vault_id),
        sequence=DAYS + 1,
        previous=None,
        pod=pod.public,
        recipients=wrap_key(b"k" * 32, (reader.recipient,)),
        time=moment,
    )
    name = archive_name(secrets.recipient.vault_id, DAYS + 1, b"j" * 32)
    place.data[name] = encode_header(ARCHIVE_MAGIC, header, pod) + b"junk" * 50
    return name


def told(
    place: small.Objects, secrets: Secrets, when: str | None, pods: Collection[bytes] = ()
) -> tuple[int, list[str]]:
    vault = open_with_kit(place, secrets, pods or [small.POD_KEY.public])
    taken = vault.at(when)
    return taken.entry.sequence, passed_over(vault, taken, when)


@pytest.mark.parametrize("when", ENDS)
@pytest.mark.parametrize("how", ["missing", "header", "manifest", "empty"])
def test_the_newest_that_does_not_open_is_told(how: str, when: str | None) -> None:
    place, secrets, packed = vault_of_days()
    assert told(place, secrets, when) == (DAYS, [])
    spoil(place, packed[-1].name, how)
    sequence, sentences = told(place, secrets, when)
    assert sequence == DAYS - 1
    assert len(sentences) == 1
    assert packed[-1].name in sentences[0]


@pytest.mark.parametrize("how", ["missing", "header", "manifest", "empty"])
def test_with_a_moment_only_what_may_be_of_then_is_told(how: str) -> None:
    place, secrets, packed = vault_of_days()
    spoil(place, packed[1].name, how)
    assert told(place, secrets, "2026-11-01")[0] == 1
    # Its number stands between the points of the first and the third day.
    assert len(told(place, secrets, "2026-11-01")[1]) == 1
    assert len(told(place, secrets, "2026-11-02")[1]) == 1
    assert told(place, secrets, "2026-11-03") == (3, [])
    assert told(place, secrets, "3") == (3, [])


def test_a_header_that_tells_a_later_moment_is_believed() -> None:
    place, secrets, _ = vault_of_days()
    for moment, number in (("2026-11-20T03:00:00Z", 0), ("2026-11-05T20:00:00Z", 1)):
        name = put_header(place, secrets, OTHER, small.POD_KEY, moment)
        sequence, sentences = told(place, secrets, "2026-11-10")
        assert (sequence, len(sentences)) == (DAYS, number)
        assert len(told(place, secrets, None)[1]) == 1
        del place.data[name]


def test_what_somebody_else_signed_is_no_point_of_a_moment() -> None:
    place, secrets, _ = vault_of_days()
    put_header(place, secrets, secrets, FORGER, None)
    assert told(place, secrets, "2026-11-30") == (DAYS, [])
    assert len(told(place, secrets, None)[1]) == 1


def test_a_fork_of_the_number_that_does_not_open_is_told() -> None:
    place, secrets, packed = vault_of_days()
    fork = small.pack(
        secrets, small.POD_KEY, 2, packed[0], (), [small.post("p9", "other")], {"post": 1}
    )
    place.data[fork.name] = fork.open().read()
    assert told(place, secrets, "2") == (2, [])
    spoil(place, fork.name, "header")
    assert len(told(place, secrets, "2")[1]) == 1
    assert told(place, secrets, "3") == (3, [])
