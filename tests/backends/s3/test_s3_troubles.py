"""What networks, kills, clocks, quotas, wrong keys and certificates do to an S3 place."""

from __future__ import annotations

import io
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.auth
import pytest

from tests.backends.conformance import FailingReader, TroubleError, names, put
from tests.backends.s3.conftest import Place
from tests.backends.servers.certificates import Authority
from tests.backends.servers.http_front import HttpFront
from tests.backends.servers.moto_s3 import Moto
from tests.backends.servers.running import free_port
from tests.backends.servers.swift_s3 import SECRET_KEY, Swift
from vaultd.backends.s3 import leftovers as s3_leftovers
from vaultd.backends.s3 import reading as s3_reading
from vaultd.backends.s3.backend import S3Backend
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceError,
    PlaceFull,
    PlaceRefused,
)

MIB = 1024 * 1024
PARTS = 5 * MIB
BIG = random.Random(1).randbytes(2 * PARTS + 12345)


@pytest.fixture
def front(moto: Moto) -> Iterator[HttpFront]:
    with HttpFront(moto.port) as front:
        yield front


@pytest.fixture
def swift_front(swift: Swift) -> Iterator[HttpFront]:
    with HttpFront(int(swift.endpoint.rpartition(":")[2])) as front:
        yield front


def open_uploads(client: Any, backend: S3Backend) -> int:
    found = client.list_multipart_uploads(Bucket=backend.settings.bucket)
    return len(found.get("Uploads", []))


class TestConnections:
    def test_a_small_object_costs_one_request_and_no_handshake(
        self, swift_place: Place, swift_front: HttpFront
    ) -> None:
        backend = S3Backend(swift_place(endpoint=swift_front.endpoint()))
        for number in range(20):
            put(backend, f"v/{number}", b"x" * 30_000)
        assert [line.partition(" ")[0] for line in swift_front.requests] == ["PUT"] * 20
        for number in range(20):
            assert len(backend.read(f"v/{number}", 100, 1000)) == 1000
            assert len(backend.read(f"v/{number}")) == 30_000
        backend.delete("v/1")
        assert len(swift_front.requests) == 61
        assert swift_front.connections == 1

    def test_threads_share_a_pool(self, swift_place: Place, swift_front: HttpFront) -> None:
        backend = S3Backend(swift_place(endpoint=swift_front.endpoint()))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: put(backend, f"v/{n}", bytes(1000)), range(80)))
        assert len(swift_front.requests) == 80
        assert swift_front.connections <= 8


class TestRequests:
    def test_without_conditions_it_asks_first(self, moto_place: Place, front: HttpFront) -> None:
        backend = S3Backend(moto_place(endpoint=front.endpoint(), conditional=False))
        put(backend, "a", b"first")
        assert [line.partition(" ")[0] for line in front.requests] == ["HEAD", "PUT"]
        with pytest.raises(ObjectExists):
            put(backend, "a", b"second")
        assert backend.read("a") == b"first"

    def test_a_page_is_one_request(
        self, moto_place: Place, front: HttpFront, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(s3_reading, "_PAGE", 10)
        backend = S3Backend(moto_place(endpoint=front.endpoint()))
        made = [f"v/{number:04}" for number in range(100)]
        for name in made:
            put(backend, name, b"")
        front.requests.clear()
        assert names(backend) == made
        assert len(front.requests) == 10

    @pytest.mark.long
    def test_ten_thousand_objects_are_ten_requests(
        self, moto_place: Place, front: HttpFront
    ) -> None:
        backend = S3Backend(moto_place(endpoint=front.endpoint()))
        made = [f"v/{number:05}" for number in range(10_000)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: put(backend, name, b""), made))
        front.requests.clear()
        assert names(backend) == made
        assert len(front.requests) == 10


class _Multipart:
    """Objects larger than a part, on either server."""

    def test_parts_make_the_whole(self, place: Place, raw: Any) -> None:
        backend = S3Backend(place(part_size=PARTS, prefix="p"))
        backend.create("a/b", io.BytesIO(BIG), len(BIG))
        assert backend.read("a/b") == BIG
        assert backend.read("a/b", PARTS - 5, 10) == BIG[PARTS - 5 : PARTS + 5]
        assert [info.size for info in backend.list()] == [len(BIG)]
        with pytest.raises(ObjectExists):
            backend.create("a/b", io.BytesIO(BIG), len(BIG))
        assert open_uploads(raw, backend) == 0

    @pytest.mark.parametrize("checksum", ["sha256", "when_supported"])
    def test_parts_have_checksums(self, place: Place, checksum: str) -> None:
        backend = S3Backend(place(part_size=PARTS, checksum=checksum))
        backend.create("a", io.BytesIO(BIG), len(BIG))
        assert backend.read("a") == BIG

    @pytest.mark.parametrize("good", [0, PARTS + 1, len(BIG) - 1])
    def test_a_failing_reader_leaves_no_parts(self, place: Place, raw: Any, good: int) -> None:
        backend = S3Backend(place(part_size=PARTS))
        error = TroubleError("mine")
        with pytest.raises(TroubleError) as raised:
            backend.create("a", FailingReader(good, error), len(BIG))
        assert raised.value is error
        assert names(backend) == []
        assert open_uploads(raw, backend) == 0

    @pytest.mark.parametrize("difference", [-1, 1])
    def test_another_size_leaves_no_parts(self, place: Place, raw: Any, difference: int) -> None:
        backend = S3Backend(place(part_size=PARTS))
        with pytest.raises(PlaceError):
            backend.create("a", io.BytesIO(BIG), len(BIG) + difference)
        assert names(backend) == []
        assert open_uploads(raw, backend) == 0

    def test_a_cut_part_leaves_nothing(self, place: Place, cutting: HttpFront, raw: Any) -> None:
        backend = S3Backend(place(part_size=PARTS, endpoint=cutting.endpoint()))
        cutting.cut_on, cutting.cut_after = "partNumber=2", 100_000
        with pytest.raises(PlaceBusy):
            backend.create("a", io.BytesIO(BIG), len(BIG))
        assert names(backend) == []
        assert open_uploads(raw, backend) == 0

    def test_one_that_came_first_is_not_replaced_at_the_end(
        self, place: Place, cutting: HttpFront, raw: Any
    ) -> None:
        """Also where the condition of the completion is ignored (Ceph): it is not even sent."""
        backend = S3Backend(place(part_size=PARTS, endpoint=cutting.endpoint()))

        class Overtaken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                piece = super().read(size)
                if not piece:
                    put(backend, "a", b"first")
                return piece

        with pytest.raises(ObjectExists):
            backend.create("a", Overtaken(BIG), len(BIG))
        assert backend.read("a") == b"first"
        assert open_uploads(raw, backend) == 0
        sent = [line.rpartition("?")[2] for line in cutting.requests if line.startswith("POST")]
        assert sent == ["uploads"]

    @pytest.mark.long
    def test_256_megabytes_come_back_the_same(self, place: Place) -> None:
        backend = S3Backend(place())
        content = random.Random(2).randbytes(MIB) * 256
        backend.create("a", io.BytesIO(content), len(content))
        assert backend.read("a") == content

    def test_an_end_whose_answer_is_lost_keeps_its_object_whole(
        self, place: Place, cutting: HttpFront
    ) -> None:
        backend = S3Backend(place(part_size=PARTS, endpoint=cutting.endpoint()))
        cutting.cut_on, cutting.swallow = "POST .*uploadId", True
        with pytest.raises(PlaceBusy) as raised:
            backend.create("a", io.BytesIO(BIG), len(BIG))
        assert raised.value.unknown
        cutting.cut_on = None
        assert backend.read("a") == BIG
        backend.probe()
        assert backend.read("a") == BIG
        with pytest.raises(ObjectExists):
            backend.create("a", io.BytesIO(BIG), len(BIG))


class TestMultipartOnMoto(_Multipart):
    @pytest.fixture
    def place(self, moto_place: Place) -> Place:
        return moto_place

    @pytest.fixture
    def raw(self, moto_client: Any) -> Any:
        return moto_client

    @pytest.fixture
    def cutting(self, front: HttpFront) -> HttpFront:
        return front


class TestMultipartOnSwift(_Multipart):
    @pytest.fixture
    def place(self, swift_place: Place) -> Place:
        return swift_place

    @pytest.fixture
    def raw(self, swift_client: Any) -> Any:
        return swift_client

    @pytest.fixture
    def cutting(self, swift_front: HttpFront) -> HttpFront:
        return swift_front


_WRITER = """
import io, sys, time
from vaultd.backends.s3.backend import S3Backend, S3Settings
class Slow(io.RawIOBase):
    left = 11 * 1024 * 1024
    def read(self, size=-1):
        if self.left < 1024 * 1024:
            print("parts sent", flush=True)
            time.sleep(60)
        count = min(size, self.left, 1024 * 1024)
        self.left -= count
        return b"x" * count
bucket, endpoint = sys.argv[1:]
place = S3Backend(S3Settings(bucket, endpoint=endpoint, region="us-east-1", access_key="pods:anna",
                             secret_key="swift-secret-of-anna", part_size=5 * 1024 * 1024))
place.create("a", Slow(), Slow.left)
"""


class _Killed:
    def test_a_killed_client_leaves_no_object_and_a_later_probe_cleans(
        self, place: Place, raw: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        backend = S3Backend(place())
        settings = backend.settings
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, settings.bucket, str(settings.endpoint)],
            stdout=subprocess.PIPE, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"parts sent\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        assert names(backend) == []
        assert open_uploads(raw, backend) == 1
        monkeypatch.setattr(s3_leftovers, "_STALE", timedelta(seconds=-60))
        left = {finding.what: finding.sentence for finding in backend.probe()}
        assert left["unfinished uploads"] == "1 old ones are removed."
        assert open_uploads(raw, backend) == 0
        put(backend, "a", b"again")

    def test_parts_that_an_object_may_need_stay(
        self, place: Place, raw: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A leftover whose parts are those of the object that is there: Swift would share them."""
        backend = S3Backend(place(part_size=PARTS))
        bucket = backend.settings.bucket
        upload = raw.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
        for number in range(3):
            raw.upload_part(
                Bucket=bucket, Key="a", UploadId=upload, PartNumber=number + 1,
                Body=BIG[number * PARTS : (number + 1) * PARTS],
            )  # fmt: skip
        backend.create("a", io.BytesIO(BIG), len(BIG))
        monkeypatch.setattr(s3_leftovers, "_STALE", timedelta(seconds=-60))
        left = {finding.what: finding.sentence for finding in backend.probe()}
        assert left["unfinished uploads"].startswith("0 old ones are removed; 1 stay")
        assert backend.read("a") == BIG
        backend.delete("a")
        backend.probe()
        assert open_uploads(raw, backend) == 0


class TestKilledOnMoto(_Killed):
    @pytest.fixture
    def place(self, moto_place: Place) -> Place:
        return moto_place

    @pytest.fixture
    def raw(self, moto_client: Any) -> Any:
        return moto_client


class TestKilledOnSwift(_Killed):
    @pytest.fixture
    def place(self, swift_place: Place) -> Place:
        return swift_place

    @pytest.fixture
    def raw(self, swift_client: Any) -> Any:
        return swift_client


class TestSwiftRefuses:
    """Swift checks signatures, dates, digests and quotas as the large stores do."""

    @pytest.mark.parametrize(
        "keys", [{"secret_key": "wrong-secret"}, {"access_key": "pods:nobody"}]
    )
    def test_wrong_keys(self, swift_place: Place, keys: dict[str, str]) -> None:
        backend = S3Backend(swift_place(**keys))
        for verb in (
            lambda: put(backend, "a", b"x"),
            lambda: names(backend),
            lambda: backend.read("a"),
            lambda: backend.delete("a"),
            backend.probe,
            backend.adapt,
        ):
            with pytest.raises(PlaceRefused, match="does not accept these keys") as raised:
                verb()
            shown = str(raised.value) + repr(raised.value) + repr(backend)
            assert "secret" not in shown.replace("secret key", "")
            assert raised.value.__cause__ is None

    @pytest.mark.parametrize("hours", [-3, 3])
    def test_clocks_that_differ(
        self, swift_place: Place, monkeypatch: pytest.MonkeyPatch, hours: int
    ) -> None:
        backend = S3Backend(swift_place())
        now = botocore.auth.get_current_datetime
        monkeypatch.setattr(
            botocore.auth, "get_current_datetime", lambda *a: now(*a) + timedelta(hours=hours)
        )
        for verb in (lambda: put(backend, "a", b"x"), lambda: names(backend)):
            with pytest.raises(PlaceRefused, match="clock"):
                verb()

    def test_a_missing_bucket(self, swift_place: Place) -> None:
        settings = swift_place()
        _missing_bucket(S3Backend(type(settings)(**{**_fields(settings), "bucket": "not-there"})))

    @pytest.mark.parametrize("size", [6_000, 3_000_000, 5_000_000])
    def test_a_quota(self, swift_place: Place, swift: Swift, size: int) -> None:
        """Swift counts single uploads only: its parts lie in a container beside, without quota."""
        backend = S3Backend(swift_place(part_size=PARTS))
        put(backend, "a", b"x" * 100)
        swift.set_quota(backend.settings.bucket, 5_000)
        with pytest.raises(PlaceFull, match="quota"):
            put(backend, "b", bytes(size))
        assert names(backend) == ["a"]
        assert backend.read("a") == b"x" * 100

    def test_another_region_is_found_by_itself(self, swift_place: Place) -> None:
        backend = S3Backend(swift_place(region="eu-west-9"))
        put(backend, "a", b"x")
        assert backend.read("a") == b"x"

    def test_damage_on_the_way(self, swift_place: Place) -> None:
        for mode in ("when_required", "sha256", "when_supported"):
            findings = S3Backend(swift_place(checksum=mode)).probe()
            (found,) = (finding for finding in findings if finding.what == "checksum")
            assert found.fine
            assert mode in found.sentence


def _fields(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def _missing_bucket(backend: S3Backend) -> None:
    for verb in (
        lambda: put(backend, "a", b"x"),
        lambda: names(backend),
        lambda: backend.read("a"),
        lambda: backend.delete("a"),
        backend.probe,
    ):
        with pytest.raises(PlaceError, match="no such bucket") as raised:
            verb()
        assert not isinstance(raised.value, ObjectMissing)


class TestNetworks:
    def test_a_missing_bucket(self, moto_place: Place) -> None:
        settings = moto_place()
        _missing_bucket(S3Backend(type(settings)(**{**_fields(settings), "bucket": "not-there"})))

    def test_a_cut_upload_leaves_nothing(self, moto_place: Place, front: HttpFront) -> None:
        backend = S3Backend(moto_place(endpoint=front.endpoint()))
        front.cut_on, front.cut_after = "PUT", 50_000
        with pytest.raises(PlaceBusy) as raised:
            put(backend, "a", bytes(3_000_000))
        assert raised.value.unknown
        front.cut_on = None
        assert names(backend) == []
        put(backend, "a", b"again")

    def test_a_lost_answer_is_not_taken_for_a_failure(
        self, moto_place: Place, front: HttpFront
    ) -> None:
        backend = S3Backend(moto_place(endpoint=front.endpoint()))
        front.cut_on, front.swallow = "PUT", True
        with pytest.raises(PlaceBusy) as raised:
            put(backend, "a", b"x")
        assert raised.value.unknown
        front.cut_on = None
        with pytest.raises(ObjectExists):
            put(backend, "a", b"x")

    def test_nobody_listens(self, moto_place: Place) -> None:
        port = free_port()
        backend = S3Backend(moto_place(endpoint=f"http://127.0.0.1:{port}"))
        with pytest.raises(PlaceBusy, match="refuses the connection") as raised:
            put(backend, "a", b"x")
        assert not raised.value.unknown

    def test_a_host_without_an_address(self, moto_place: Place) -> None:
        backend = S3Backend(moto_place(endpoint="http://nothing.invalid"))
        with pytest.raises(PlaceBusy, match="host name") as raised:
            names(backend)
        assert not raised.value.unknown

    def test_sockets_may_come_from_a_checked_source(self, moto: Moto, moto_place: Place) -> None:
        asked = []

        def connect(host: str, port: int, seconds: float) -> socket.socket:
            asked.append((host, port))
            return socket.create_connection(("127.0.0.1", moto.port), seconds)

        settings = moto_place(endpoint="http://localhost:1234", path_style=True)
        backend = S3Backend(settings, connect=connect)
        put(backend, "a", b"x")
        assert backend.read("a") == b"x"
        assert backend.adapt() == settings
        assert set(asked) == {("localhost", 1234)}

        def refuse(host: str, port: int, seconds: float) -> socket.socket:
            raise PlaceRefused(f"{host} is not to be reached.")

        with pytest.raises(PlaceRefused, match="localhost is not to be reached"):
            names(S3Backend(settings, connect=refuse))

    def test_no_keys_at_all(self, moto_place: Place) -> None:
        backend = S3Backend(moto_place(access_key=None, secret_key=None))
        with pytest.raises(PlaceRefused, match="no keys"):
            names(backend)

    def test_keys_from_the_environment(
        self, moto_place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        assert names(S3Backend(moto_place(access_key=None, secret_key=None))) == []

    def test_an_unknown_profile(self, moto_place: Place) -> None:
        backend = S3Backend(moto_place(access_key=None, secret_key=None, profile="nobody"))
        with pytest.raises(PlaceRefused, match="profile"):
            names(backend)


class TestCertificates:
    def test_a_good_one(self, moto_place: Place, moto_tls: HttpFront, authority: Authority) -> None:
        backend = S3Backend(
            moto_place(endpoint=moto_tls.endpoint("localhost"), ca_file=authority.file)
        )
        for checksum in ("when_required", "sha256", "when_supported"):
            settings = type(backend.settings)(**{**_fields(backend.settings), "checksum": checksum})
            place = S3Backend(settings)
            put(place, checksum, b"x" * 1000)
            assert place.read(checksum) == b"x" * 1000

    def test_from_an_unknown_authority(self, moto_place: Place, moto_tls: HttpFront) -> None:
        backend = S3Backend(moto_place(endpoint=moto_tls.endpoint("localhost")))
        with pytest.raises(PlaceRefused, match="signed by nobody this machine trusts"):
            put(backend, "a", b"x")

    def test_for_another_host(
        self, moto_place: Place, moto_tls: HttpFront, authority: Authority
    ) -> None:
        backend = S3Backend(
            moto_place(endpoint=moto_tls.endpoint("127.0.0.1"), ca_file=authority.file)
        )
        with pytest.raises(PlaceRefused, match="for another host name"):
            put(backend, "a", b"x")

    def test_expired(self, moto: Moto, moto_place: Place, authority: Authority) -> None:
        with HttpFront(moto.port, authority.issue("localhost", days=-1)) as front:
            backend = S3Backend(
                moto_place(endpoint=front.endpoint("localhost"), ca_file=authority.file)
            )
            with pytest.raises(PlaceRefused, match="has expired"):
                names(backend)

    def test_no_tls_where_it_should_be(self, moto: Moto, moto_place: Place) -> None:
        backend = S3Backend(moto_place(endpoint=f"https://127.0.0.1:{moto.port}"))
        with pytest.raises(PlaceRefused, match="does not speak TLS"):
            names(backend)

    def test_a_ca_file_that_is_none(
        self, moto_place: Place, moto_tls: HttpFront, tmp_path: Path
    ) -> None:
        wrong = tmp_path / "ca.pem"
        wrong.write_text("no certificate")
        for file in (wrong, tmp_path / "missing.pem"):
            backend = S3Backend(moto_place(endpoint=moto_tls.endpoint("localhost"), ca_file=file))
            with pytest.raises(PlaceError, match="ca_file"):
                names(backend)
