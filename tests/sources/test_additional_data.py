"""What remote authors sign besides the usual: read from Ruby's YAML, and given back as signed."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from time import process_time

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.restore.account import account, comment, guid, person
from tests.restore.point import FakePoint
from vaultd.fields import entity
from vaultd.records import Body
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.archive.report import Section
from vaultd.sources.diaspora.records.additional_data import pairs
from vaultd.sources.diaspora.records.relayables import signed_text, with_signature


@pytest.mark.parametrize(
    ("yaml", "value"),
    [
        ("edited_at: 2025-06-01 10:20:30.000000000 Z", "2025-06-01T10:20:30Z"),
        ("edited_at: '2025-06-01T10:20:30Z'", "2025-06-01T10:20:30Z"),
        ("thread_parent_guid: 4af5e1", "4af5e1"),
        ("'1': '123e45'", "123e45"),
        ("x: ''", ""),
        ("x:", ""),
        ("x: 'it''s'", "it's"),
        ('x: "a\\tb\\x01\\U0001F600\\\\\\"\\e"', 'a\tb\x01\U0001f600\\"\x1b'),
        ("x: |-\n  a\n\n   b", "a\n\n b"),
        ("x: |\n  a\n", "a\n"),
        ("x: |2+\n", "\n"),
        ("x: one\n  two", "one two"),
        ("x: 'one\n\n  two'", "one\ntwo"),
        ('x: "one\\\n  \\  two"', "one  two"),
        ("x:\n  y: z", None),
        ("x: [a]", None),
        ("x: 'open", None),
        ('x: "open', None),
    ],
)
def test_values_are_read_as_ruby_wrote_them(yaml: str, value: str | None) -> None:
    found = [each for _, each in pairs(f"---\n{yaml}\nlast: one\n")]
    assert found == ([] if value is None else [value]) + ["one"]


def test_a_comment_with_more_than_the_usual_comes_back_with_a_signature_that_fits(
    tmp_path: Path,
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    order = "author guid parent_guid text created_at edited_at thread_parent_guid"
    edited = comment("edited", "open", kind="received_comment")
    assert edited.body is not None
    data = entity(edited.body)
    more: Body = {"edited_at": "2025-06-01T10:20:30Z", "thread_parent_guid": "123e4567"}
    message = signed_text({**data, **more}, [*order.split()]).encode()
    signature = base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
    yaml = "---\nedited_at: 2025-06-01 10:20:30.000000000 Z\nthread_parent_guid: '123e4567'\n"
    row: Body = {}
    with_signature(edited.body, lambda _: None, row, None, (signature, order, yaml))
    edited.body["row"] = row
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    author = person("bob@far.example", public_key=pem.decode())
    report = write_diaspora(FakePoint([*account(), author, edited]), tmp_path)
    archive = json.loads(gzip.decompress((tmp_path / "ada.json.gz").read_bytes()))
    (item,) = (
        each
        for each in archive["others_data"]["relayables"]
        if each["entity_data"]["guid"] == guid("edited")
    )
    assert more.items() <= item["entity_data"].items()
    assert item["property_order"] == order.split()
    refused = [line for group in report.groups(Section.PASSED_OVER) for line in group.items]
    assert not any(guid("edited") in line for line in refused)


_LETTERS = str.maketrans("0123456789", "abcdefghij")


def test_the_time_grows_with_what_somebody_sent_and_not_with_its_square() -> None:
    short, long = (_seconds(size) for size in (1_500, 12_000))
    # Eight times as much: a square would take 64 times as long.
    assert long < 30 * max(short, 0.002)


def _seconds(size: int) -> float:
    names = [f"{number:06}".translate(_LETTERS) for number in range(size)]
    order = " ".join(f"a{name}" for name in names)
    yaml = "---\n" + "".join(f"b{name}: x\n" for name in names)
    folded = '---\nx: "' + "a\n " * size + '"\n'
    best = 60.0
    for _ in range(2):
        started = process_time()
        for each in (yaml, folded):
            body: Body = {"entity_data": {}}
            with_signature(body, lambda _: None, {}, None, ("signature", order, each))
        best = min(best, process_time() - started)
    return best
