"""FTP servers that lie, flood, stall, cut connections or answer out of step."""

from __future__ import annotations

import io
import itertools
import time
import traceback
from collections.abc import Iterator

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.scripted_ftp import Conversation, ScriptedFtp, scripted_ftp
from vaultd.backends.base import ObjectInfo, Space
from vaultd.backends.ftp import listing as ftp_listing
from vaultd.backends.ftp import session as ftp_session
from vaultd.backends.ftp.backend import FtpBackend, FtpSettings
from vaultd.backends.transport import folder_walk
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceError,
    PlaceFull,
    PlaceRefused,
)

SECRET = "hunter2-very-secret"


@pytest.fixture
def server() -> Iterator[ScriptedFtp]:
    with scripted_ftp() as running:
        yield running


@pytest.fixture
def backend(server: ScriptedFtp) -> Iterator[FtpBackend]:
    backend = FtpBackend(settings(server))
    yield backend
    backend.close()


def settings(server: ScriptedFtp, **changed: object) -> FtpSettings:
    values: dict[str, object] = {
        "host": "127.0.0.1", "port": server.port, "username": "anna", "password": SECRET,
        "insecure": True, "read_timeout": 1.0, "connections": 1,
    }  # fmt: skip
    return FtpSettings(**{**values, **changed})  # type: ignore[arg-type]


def test_the_scripted_server_is_honest_until_told_otherwise(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    put(backend, "a", b"hello")
    assert backend.read("a", 1, 3) == b"ell"
    assert backend.read("a") == b"hello"
    assert list(backend.list()) == [ObjectInfo("a", 5)]
    with pytest.raises(ObjectExists):
        put(backend, "a", b"other")
    assert server.said.count("PASS " + SECRET) == 1
    assert set(server.files) == {"a"}


def test_a_small_object_takes_seven_commands(server: ScriptedFtp, backend: FtpBackend) -> None:
    put(backend, "a", b"hello")
    del server.said[:]
    put(backend, "b", b"hello")
    said = [line.partition(" ")[0] for line in server.said]
    assert said == ["PASV", "STOR", "SIZE", "SIZE", "RNFR", "RNTO", "SIZE"]


def test_a_lying_size_stores_nothing(server: ScriptedFtp, backend: FtpBackend) -> None:
    server.answers["SIZE"] = "213 4"
    with pytest.raises(PlaceError, match="stored 4 of 5 bytes"):
        put(backend, "a", b"hello")
    assert server.files == {}


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("421 going away", PlaceBusy),
        ("425 no data connection", PlaceBusy),
        ("426 cut", PlaceBusy),
        ("450 busy", PlaceBusy),
        ("451 local error", PlaceBusy),
        ("451 No space left on device", PlaceFull),
        ("452 full", PlaceFull),
        ("552 quota exceeded", PlaceFull),
        ("553 Disk quota exceeded", PlaceFull),
        ("530 log in first", PlaceRefused),
        ("532 account", PlaceRefused),
        ("550 Permission denied", PlaceRefused),
        ("550 odd", PlaceError),
        ("553 name", PlaceError),
        ("599 what", PlaceError),
        ("xyz", PlaceError),
        ("\x80\xff", PlaceError),
    ],
)
@pytest.mark.parametrize("command", ["STOR", "RNTO"])
def test_each_reply_is_its_error(
    server: ScriptedFtp, backend: FtpBackend, reply: str, expected: type, command: str
) -> None:
    server.answers[command] = reply
    with pytest.raises(PlaceError) as raised:
        put(backend, "a", b"hello")
    assert type(raised.value) is expected
    assert "127.0.0.1" in str(raised.value)
    assert "a" not in server.files


def test_a_reply_after_the_data_counts(server: ScriptedFtp, backend: FtpBackend) -> None:
    def refuse(conversation: Conversation, name: str) -> str:
        conversation.do_stor(name)
        return "452 the disk is full"

    server.answers["STOR"] = refuse
    with pytest.raises(PlaceFull):
        put(backend, "a", b"hello")
    assert server.files == {}


def test_a_server_that_stops_an_upload_is_heard(server: ScriptedFtp, backend: FtpBackend) -> None:
    def stop(conversation: Conversation, name: str) -> str:
        with conversation.transfer() as connection:
            connection.recv(10)
        return "552 over quota"

    server.answers["STOR"] = stop
    with pytest.raises(PlaceFull, match="over quota"):
        put(backend, "a", b"x" * 20_000_000)


def test_a_connection_cut_while_renaming_may_have_taken_effect(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    def cut(conversation: Conversation, name: str) -> None:
        conversation.do_rnto(name)
        conversation.control.shutdown(2)

    server.answers["RNTO"] = cut
    with pytest.raises(PlaceBusy) as raised:
        put(backend, "a", b"hello")
    assert raised.value.unknown
    del server.answers["RNTO"]
    with pytest.raises(ObjectExists):
        put(backend, "a", b"hello")


def test_a_listing_without_end_is_ended(
    server: ScriptedFtp, backend: FtpBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftp_session, "MAX_LISTING", 1_000_000)
    server.listing = itertools.repeat(b"drwx------ 1 a a 5 Nov 24 03:22 ..\r\n" * 100)
    with pytest.raises(PlaceError, match="without end"):
        names(backend)


def test_a_listing_of_too_many_names_is_ended(
    server: ScriptedFtp, backend: FtpBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ftp_listing, "MAX_NAMES", 1000)
    server.listing = (f"-rw------- 1 a a 5 Nov 24 03:22 a{n}\r\n".encode() for n in range(2000))
    with pytest.raises(PlaceError, match="more than 1000 names"):
        names(backend)


def test_folders_within_folders_without_end_are_ended(
    server: ScriptedFtp, backend: FtpBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_walk, "MAX_FOLDERS", 150)
    server.listing = b"".join(b"drwx------ 1 a a 5 Nov 24 03:22 %c\r\n" % c for c in b"abc")
    with pytest.raises(PlaceError, match="more than 150 folders"):
        names(backend)


def test_strange_names_are_passed_over(server: ScriptedFtp, backend: FtpBackend) -> None:
    line = b"-rw------- 1 a a 5 Nov 24 03:22 "
    server.listing = iter(
        [line + b"a\r\n"]
        + [
            line + name + b"\r\n"
            for name in (b"b\nc", b"..", b"A", b"d/e", b"\xff", b"f\rg", b"h ")
        ]
        + [b"lrwx------ 1 a a 5 Nov 24 03:22 i -> a\r\n", line + b"z"]
    )
    assert list(backend.list()) == [ObjectInfo("a", 5), ObjectInfo("z", 5)]


@pytest.mark.parametrize(
    "garbage",
    [b"x" * 100_000, b"-rw------- 1 a a", b"ls: memory exhausted", b"\0\0\0", b"550 broken"],
)
@pytest.mark.parametrize("features", [" SIZE", " MLST type*;"])
def test_a_listing_with_a_line_of_garbage_is_not_taken_for_whole(
    server: ScriptedFtp, backend: FtpBackend, garbage: bytes, features: str
) -> None:
    server.answers |= {"FEAT": f"211-Features:\r\n{features}\r\n211 End", "NLST": "502 none"}
    line = b"-rw------- 1 a a 5 Nov 24 03:22 "
    server.listing = line + b"a\r\n" + garbage + b"\r\n" + line + b"z\r\n"
    with pytest.raises(PlaceError):
        names(backend)


@pytest.mark.parametrize(
    "reply",
    [
        "226 Output truncated to 2000 matches",
        "226-Output truncated to 2 matches\r\n226 2 matches total",
        "226 81 matches total",
        "250 Listing incomplete",
        "426 cut",
        "451 read error",
        "226 Transfer done (but failed to open directory).",
    ],
)
@pytest.mark.parametrize("features", [" SIZE", " MLST type*;"])
def test_a_listing_that_the_server_cut_short_is_an_error(
    server: ScriptedFtp, backend: FtpBackend, reply: str, features: str
) -> None:
    server.answers["FEAT"] = f"211-Features:\r\n{features}\r\n211 End"
    server.files |= {"v/a": b"hello", "v/b": b"hello"}

    def listed(conversation: Conversation, _: str) -> str:
        with conversation.transfer() as connection:
            if "MLST" in features:
                connection.sendall(b"type=file;size=5; a\r\ntype=file;size=5; b\r\n")
            else:
                connection.sendall(
                    b"-rw------- 1 a a 5 Nov 24 03:22 a\r\n-rw------- 1 a a 5 Nov 24 03:22 b\r\n"
                )
        return reply

    server.answers |= {"LIST": listed, "MLSD": listed, "NLST": listed}
    with pytest.raises(PlaceError):
        names(backend, "v/")
    with pytest.raises(PlaceError):
        names(backend)


@pytest.mark.parametrize("refusal", ["550 failed", "450 try later", "501 what"])
def test_a_folder_that_is_refused_is_missing_only_if_it_cannot_be_entered(
    server: ScriptedFtp, backend: FtpBackend, refusal: str
) -> None:
    server.answers |= {"LIST": refusal}
    with pytest.raises(PlaceError):  # CWD says that it is there
        names(backend, "v/")
    server.answers |= {"CWD": "550 no such folder"}
    assert names(backend, "v/") == []
    with pytest.raises(PlaceError):  # the place itself
        names(backend)
    server.answers |= {"LIST": "550 No files found"}
    assert names(backend) == []


def test_a_folder_that_was_listed_is_not_missing(server: ScriptedFtp, backend: FtpBackend) -> None:
    def listed(conversation: Conversation, folder: str) -> str:
        if folder != ".":
            return "550 no such folder"
        server.listing = b"drwx------ 1 a a 5 Nov 24 03:22 v\r\n"
        return conversation.do_list(folder)

    server.answers |= {"LIST": listed, "CWD": "550 no such folder"}
    with pytest.raises(PlaceError, match="The folder v was listed"):
        names(backend)


@pytest.mark.parametrize(
    ("missing", "works"), [("550 none", True), ("502 what", False), ("451 later", False)]
)
def test_a_size_that_is_refused_for_now_is_asked_for_by_mlst(
    server: ScriptedFtp, backend: FtpBackend, missing: str, works: bool
) -> None:
    """As rclone's server, which answers SIZE of a missing file with 450."""

    def size(conversation: Conversation, name: str) -> str:
        known = conversation.do_size(name)
        return known if known.startswith("213") else "450 Could not get file size."

    server.answers |= {"SIZE": size, "MLST": missing}
    if not works:
        with pytest.raises(PlaceBusy):
            put(backend, "a", b"hello")
        return
    put(backend, "a", b"hello")
    with pytest.raises(ObjectMissing):
        backend.read("b")
    assert backend.read("a") == b"hello"


@pytest.mark.parametrize(
    ("done", "said"),
    [(b"", "stored 0 of 5 bytes"), (b"he", "stored 2 of 5 bytes"), (None, "it is not there")],
)
def test_an_ok_to_a_rename_without_effect_stores_nothing(
    server: ScriptedFtp, backend: FtpBackend, done: bytes | None, said: str
) -> None:
    def rename(conversation: Conversation, name: str) -> str:
        if done is not None:
            server.files[name] = done
            del server.files[conversation.renamed]
        return "250 renamed"

    server.answers["RNTO"] = rename
    with pytest.raises(PlaceError, match=said):
        put(backend, "a", b"hello")
    if done is None:
        findings = [finding for finding in backend.probe() if finding.grave and not finding.fine]
        assert [finding.what for finding in findings] == ["create without replacing"]
    assert server.files == {}


def test_a_listing_of_no_known_form_is_asked_for_name_by_name(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    server.files.update({"a": b"hello", "b/c": b"hi"})

    def listed(conversation: Conversation, folder: str) -> str:
        found = {"LIST .": b"A.TXT;1 2 24-NOV\r\n", "LIST ./b": b"C.TXT;1 1 24-NOV\r\n",
                 "NLST .": b"./a\r\n./b\r\n", "NLST ./b": b"b/c\r\n"}  # fmt: skip
        server.listing = found[server.said[-1]]
        return conversation.do_list(folder)

    server.answers.update({"LIST": listed, "NLST": listed})
    assert list(backend.list()) == [ObjectInfo("a", 5), ObjectInfo("b/c", 2)]


def test_facts_without_a_size_are_asked_for(server: ScriptedFtp, backend: FtpBackend) -> None:
    server.answers["FEAT"] = "211-Features:\r\n MLST type*;\r\n211 End"
    server.files["a"] = b"hello"
    server.listing = (
        b"Type=cdir; .\r\nType=file; a\r\nTYPE=file;Size=7; b\r\ntype=dir;size=4; c \r\n"
    )
    assert list(backend.list()) == [ObjectInfo("a", 5), ObjectInfo("b", 7)]


def test_a_server_of_windows_is_read(server: ScriptedFtp, backend: FtpBackend) -> None:
    server.listing = (
        b"02-23-05  09:24AM       <DIR>          ..\r\n02-23-05  09:24PM     1234 a\r\n"
    )
    assert list(backend.list()) == [ObjectInfo("a", 1234)]


@pytest.mark.parametrize(
    "answer",
    [
        b"220-" + b"x" * 1_000_000,
        b"220-hello\r\n" + b" more\r\n" * 100_000,
        b"220-hello\r\n" + b"\r\n" * 1_000_000,
        b"SSH-2.0-OpenSSH_9.2",
        b"",
    ],
)
def test_a_flood_for_a_greeting_is_ended(
    server: ScriptedFtp, backend: FtpBackend, answer: bytes
) -> None:
    server.answers["GREETING"] = answer
    with pytest.raises(PlaceError):
        names(backend)


def test_a_trickle_is_ended(server: ScriptedFtp, backend: FtpBackend) -> None:
    def trickle(conversation: Conversation, _: str) -> None:
        for _ in range(100):
            conversation.control.sendall(b"2")
            time.sleep(0.1)

    server.answers["GREETING"] = trickle
    begun = time.monotonic()
    with pytest.raises(PlaceBusy, match="too long"):
        names(backend)
    assert time.monotonic() - begun < 3


def test_a_trickling_listing_is_ended(server: ScriptedFtp, backend: FtpBackend) -> None:
    def trickle() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.1)
            yield b"x"

    server.listing = trickle()
    begun = time.monotonic()
    with pytest.raises(PlaceBusy, match="too long"):
        names(backend)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("port", ["300,1", "99999999999999999999,1", "0,0", "x"])
def test_a_data_port_that_is_none_is_an_error(
    server: ScriptedFtp, backend: FtpBackend, port: str
) -> None:
    server.answers["PASV"] = f"227 Entering (127,0,0,1,{port})"
    with pytest.raises(PlaceError):
        names(backend)


def test_an_object_that_ends_early_is_not_returned(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    server.files["a"] = b"hello"
    server.answers["SIZE"] = "213 9"
    with pytest.raises(PlaceBusy, match="4 bytes too early"):
        backend.read("a")
    with pytest.raises(PlaceBusy, match="2 bytes too early"):
        backend.read("a", 3, 4)


def test_a_reply_too_many_does_not_answer_the_next_command(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    def twice(conversation: Conversation, name: str) -> str:
        conversation.do_retr(name)
        return "426 cut\r\n226 ended"

    server.files["a"] = b"x" * 10_000_000
    server.answers["RETR"] = twice
    for _ in range(2):
        assert backend.read("a", 0, 3) == b"xxx"
    assert server.said.count("PASS " + SECRET) == 2


def test_nothing_said_before_tls_is_believed(server: ScriptedFtp) -> None:
    server.answers["AUTH"] = "234 go on\r\n230 you are in"
    backend = FtpBackend(settings(server, insecure=False))
    with pytest.raises(PlaceError):
        names(backend)
    assert server.said == ["AUTH TLS"]


@pytest.mark.parametrize("reply", ["530 no TLS", "502 what?", "431 not now"])
def test_a_server_without_tls_never_sees_the_password(server: ScriptedFtp, reply: str) -> None:
    server.answers["AUTH"] = reply
    backend = FtpBackend(settings(server, insecure=False))
    with pytest.raises(PlaceRefused, match="offers no TLS"):
        names(backend)
    assert server.said == ["AUTH TLS"]


def test_no_error_repeats_the_password(server: ScriptedFtp, backend: FtpBackend) -> None:
    for command in ("PASS", "TYPE", "SIZE"):
        server.answers = {command: f"530 you said {SECRET}"}
        with pytest.raises(PlaceRefused, match="you said …") as raised:
            backend.read("a")
        assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert SECRET not in repr(backend)
    assert SECRET not in repr(settings(server))


def test_room_is_told_by_avbl_or_by_a_quota(server: ScriptedFtp, backend: FtpBackend) -> None:
    assert backend.space() == Space(None, None)
    server.answers["SITE"] = (
        "200-The current quota for this session are [current/limit]:\r\n"
        "  Uploaded Kb:\t10.00/1000.00\r\n200 Please contact root"
    )
    assert backend.space() == Space(1000 * 1024, 990 * 1024)
    backend.close()
    server.answers["FEAT"] = "211-Features:\r\n AVBL\r\n211 End"
    server.answers["AVBL"] = "213 12345"
    assert backend.space() == Space(None, 12345)


def test_a_folder_removed_behind_our_back_is_made_again(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    put(backend, "a/b", b"x")
    refusals = iter(["553 no such folder"])

    def once(conversation: Conversation, name: str) -> str:
        return next(refusals, None) or conversation.do_stor(name)

    server.answers["STOR"] = once
    put(backend, "a/c", b"y")
    assert server.said.count("MKD ./a") == 2
    assert server.files["a/c"] == b"y"


def test_a_reader_is_not_read_before_the_server_agrees(
    server: ScriptedFtp, backend: FtpBackend
) -> None:
    server.answers["STOR"] = "553 never"
    data = io.BytesIO(b"hello")
    with pytest.raises(PlaceError):
        backend.create("a", data, 5)
    assert data.tell() == 0


def test_a_listing_ends_when_it_has_cost_enough(server: ScriptedFtp) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 300:
            raise PlaceBusy("It took too much.")

    server.listing = b"".join(b"drwx------ 1 a a 5 Nov 24 03:22 %c\r\n" % c for c in b"abc")
    backend = FtpBackend(settings(server, check=check))
    with pytest.raises(PlaceBusy, match="took too much"):
        names(backend)
    backend.close()
