"""The pages: complete, safe, and without anything from the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.restore.point import FakePoint
from tests.vault import small_vault as small
from vaultd.records import Body, StoredRecord
from vaultd.restore.html import write_html
from vaultd.restore.html.text import render
from vaultd.restore.snapshot import Snapshot, open_with_kit

ALLOWED = {
    "p", "br", "a", "strong", "em", "s", "code", "pre", "ul", "ol", "li", "h4", "blockquote", "span",
    "hr",
}  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[x](javascript:alert(1))",
    '[x](https://a.example/"onmouseover="alert(1))',
    "@{<b>n</b>; evil@pod.example}",
    "`<i>`** #<u>",
)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.tags


pieces = st.lists(
    st.sampled_from([*HOSTILE, "**", "*", "`", "```", "\n", "> ", "* ", "# ", "https://a.example", "(", ")", "[", "]", "@{", "}", "\ue0000\ue001", " "])
    | st.text(max_size=10)
).map("".join)  # fmt: skip


@given(pieces)
@settings(max_examples=300, deadline=None)
def test_no_text_ever_becomes_markup_of_its_own(text: str) -> None:
    for tag, attributes in _tags(render(text)):
        assert tag in ALLOWED
        assert set(attributes) <= {"href", "rel", "class", "title", "start"}
        assert (attributes.get("href") or "https://").startswith(("https://", "http://"))


def test_markdown_reads_as_meant() -> None:
    html = render("# Hi\n**bold** *em* `x<y`\n\n* one\n* two\n\n> said\n\n#tag @{Ann; a@b.c}")
    for part in ("<h4>Hi</h4>", "<strong>bold</strong>", "<em>em</em>", "<code>x&lt;y</code>",
                 "<li>one</li>", "<p>said</p>", "#tag</span>", "@Ann</span>"):  # fmt: skip
        assert part in html


def test_the_time_of_a_text_grows_with_its_length_and_not_its_square() -> None:
    for piece in ("*", "[", "@{", "`a", "https://", "http://a", "![", "[a](", "~~a", "@{a@", "#a"):
        short, long = (_seconds(piece * (size // len(piece))) for size in (8_000, 64_000))
        # Eight times the text: a square would take 64 times as long.
        assert long < 30 * max(short, 0.002), (piece, short, long)


def _seconds(text: str) -> float:
    best = 60.0
    for _ in range(3):
        started = process_time()
        render(text)
        best = min(best, process_time() - started)
    return best


def test_a_text_longer_than_diaspora_takes_is_shown_plain() -> None:
    assert render("**<b>**" * 10_000).startswith("<p>**&lt;b&gt;**")


def _pages(tmp_path: Path) -> dict[str, str]:
    objects, secrets, (first, _), _ = small.build()
    records: list[tuple[str, str, Body | None]] = [
        ("account", "g", {"email": "ada@mail.example", "private_key": "BEGIN RSA SECRET",
                          "encrypted_password": "$2a$10$hash", "plain_otp_secret": "OTPSECRET"}),
        ("profile", "ada", {"entity_data": {"first_name": "Ada", "bio": HOSTILE[0]}}),
        ("aspect", "1", {"name": "Family <b>"}),
        ("person", "bo@x.example", {"handle": "bo@x.example", "name": "Bo <i>", "ties": {}}),
        ("contact", "bo@x.example", {"account_id": "bo@x.example", "sharing": True,
                                     "receiving": True, "aspects": ["1"]}),
        ("post", "p1", {"entity_type": "status_message", "aspects": ["1"],
                        "entity_data": {"guid": "p1", "text": HOSTILE[1], "public": False,
                                        "created_at": "2026-01-01T00:00:00Z"}}),
        ("photo", "f1", {"entity_data": {"guid": "f1", "remote_photo_name": "../../x.png",
                                         "status_message_guid": "p1"}}),
        ("received_comment", "c1", {"entity_data": {"author": "bo@x.example", "parent_guid": "p1",
                                                    "text": HOSTILE[2], "guid": "c1"}}),
        ("shared_post", "s1", {"entity_type": "status_message", "hidden": False,
                               "entity_data": {"guid": "s1", "author": "bo@x.example",
                                               "text": HOSTILE[1], "public": False,
                                               "created_at": "2025-02-02T00:00:00Z"}}),
        ("shared_photo", "s2", {"entity_data": {"guid": "s2", "status_message_guid": "s1",
                                                "remote_photo_name": "../../y.png"}}),
        ("shared_comment", "s3", {"entity_data": {"author": "cy@x.example", "guid": "s3",
                                                  "parent_guid": "s1", "text": HOSTILE[2]}}),
        ("shared_like", "s4", {"entity_data": {"author": "dee@x.example", "guid": "s4",
                                               "parent_guid": "s1", "parent_type": "Post"}}),
        ("conversation", "t1", {"entity_data": {"guid": "t1", "subject": HOSTILE[0],
                                                "participants": ["bo@x.example"]}}),
        ("message", "m1", {"entity_data": {"guid": "m1", "conversation_guid": "t1",
                                           "author": "ada@pod.example", "text": "hello"}}),
        ("audience", "x.example", {"host": "x.example", "why": {"contact": 1}, "people": []}),
        ("audience", "y.example", {"host": "y.example", "why": {"known": 1}, "people": []}),
        ("known_pods", "0", {"hosts": ["x.example", "y.example", "z.example"], "urls": {}}),
    ]  # fmt: skip
    records += [
        ("post", f"n{i}", {"entity_type": "status_message",
                           "entity_data": {"guid": f"n{i}", "text": str(i), "public": True}})
        for i in range(150)
    ]  # fmt: skip
    packed = small.pack(secrets, small.POD_KEY, 3, first, (), records, {"post": 151})
    objects.data[packed.name] = packed.open().read()
    vault = open_with_kit(objects, secrets, (small.POD_KEY.public,))
    report = write_html(Snapshot(vault, vault.at("3")), tmp_path)
    assert report.missing
    return {path.name: path.read_text("utf-8") for path in tmp_path.glob("*.html")}


def test_pages_are_complete_safe_and_link_only_to_each_other(tmp_path: Path) -> None:
    pages = _pages(tmp_path)
    assert {"index.html", "posts-2.html", "photos.html", "comments.html", "conversations.html",
            "contacts.html", "about.html", "search.html", "shared.html"} == set(pages)  # fmt: skip
    together = "\n".join(pages.values())
    for secret in ("RSA SECRET", "$2a$10$hash", "OTPSECRET"):
        assert secret not in together
    assert "Private: Family &lt;b&gt;" in pages["index.html"]
    assert "could not be restored" in pages["index.html"]
    assert "mutual" in pages["contacts.html"]
    shared = pages["shared.html"]
    assert "By Bo &lt;i&gt;, with 1 picture." in shared
    assert "cy@x.example" in shared
    assert "♥ dee@x.example" in shared
    assert "contact (1)" in pages["about.html"]
    assert "2 others that the old server knew" in pages["about.html"]
    assert 'class="bubble mine"' in pages["conversations.html"]
    for name, page in pages.items():
        assert "default-src 'none'" in page
        assert "unsafe-inline" not in page
        for tag, attributes in _tags(page):
            assert tag not in ("iframe", "link", "object")
            assert tag != "script" or name == "search.html"
            assert not any(name.startswith("on") for name in attributes)
            assert not re.match(r"(https?:)?//", attributes.get("src") or "")
            target = attributes.get("href") or ""
            assert target.startswith(("http", "#")) or target.split("#")[0] in pages or not target
    assert not list(tmp_path.parent.glob("x.png"))


def test_an_own_comment_quotes_what_was_shared_and_leads_to_what_it_answers(tmp_path: Path) -> None:
    post: Body = {
        "entity_data": {"guid": "g" * 20, "author": "bo@x.example", "text": "tea? <b>" * 90}
    }
    comment: Body = {
        "entity_data": {"guid": "c" * 20, "parent_guid": "g" * 20, "text": "yes"},
        "parent": {"type": "Post", "guid": "g" * 20, "author": "bo@x.example"},
    }
    records = [StoredRecord("shared_post", "g", post), StoredRecord("comment", "c", comment)]
    write_html(FakePoint(records), tmp_path)
    page = (tmp_path / "comments.html").read_text()
    assert "tea? &lt;b&gt;tea?" in page
    assert "…</blockquote>" in page
    assert f'href="https://x.example/posts/{"g" * 20}"' in page
