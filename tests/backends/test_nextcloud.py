"""Nextcloud, ownCloud 10 and Infinite Scale: conformance, parts, quota, locks, login."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.backends.conformance import FailingReader, TroubleError, names, put
from tests.backends.servers.nextcloud import CloudServer
from tests.backends.servers.running import PASSWORD, USER
from tests.backends.webdav_conformance import WebdavConformance, numbers
from vaultd.backends.nextcloud.backend import NextcloudBackend, NextcloudSettings
from vaultd.backends.nextcloud.login import begin_login
from vaultd.errors import ObjectExists, PlaceBusy, PlaceError, PlaceFull, PlaceRefused, UsageError

BIG = 23_000_001


def new_place(server: CloudServer, **settings: object) -> NextcloudBackend:
    given = {"username": USER, "password": PASSWORD, "folder": f"Bäckups/v {next(numbers)}"}
    return NextcloudBackend(NextcloudSettings(server.url, **{**given, **settings}), create=True)  # type: ignore[arg-type]


def big() -> bytes:
    return random.Random(7).randbytes(BIG)


@pytest.fixture(scope="module")
def clouds() -> Iterator[dict[str, CloudServer]]:
    started: dict[str, CloudServer] = {}
    yield started
    for server in started.values():
        server.stop()


class OnCloud(WebdavConformance):
    """The suite, files above 5 MB in parts."""

    kind = "nextcloud"

    @pytest.fixture
    def server(self, clouds: dict[str, CloudServer]) -> CloudServer:
        if self.kind not in clouds:
            clouds[self.kind] = CloudServer(self.kind, "/cloud")
        return clouds[self.kind]

    @pytest.fixture
    def backend(self, server: CloudServer) -> Iterator[NextcloudBackend]:
        yield new_place(server, chunk_size=5_000_000)
        for _ in range(50):
            if not server.leftovers():
                break
            time.sleep(0.05)
        assert server.leftovers() == []

    def test_big_files_go_in_parts_and_come_back(
        self, server: CloudServer, backend: NextcloudBackend
    ) -> None:
        content = big()
        server.looking_over = 2 if self.kind == "ocis" else 0
        before = len(server.requests)
        backend.create("v/big", io.BytesIO(content), len(content))
        asked = [method for method, _ in server.requests[before:]]
        assert asked.count("PATCH" if self.kind == "ocis" else "PUT") >= 5
        assert backend.read("v/big", 22_000_000) == content[22_000_000:]
        assert [info.size for info in backend.list()] == [BIG]

    @pytest.mark.parametrize("good", [0, 12_000_000])
    def test_a_big_file_that_fails_leaves_no_parts(
        self, server: CloudServer, backend: NextcloudBackend, good: int
    ) -> None:
        error = TroubleError("mine")
        with pytest.raises(TroubleError):
            backend.create("v/big", FailingReader(good, error), BIG)
        assert names(backend) == []


class TestNextcloud(OnCloud):
    pass


class TestOwncloud(OnCloud):
    kind = "owncloud"


class TestInfiniteScale(OnCloud):
    kind = "ocis"


def fresh(clouds: dict[str, CloudServer], kind: str) -> CloudServer:
    name = f"{kind}, fresh"
    if name not in clouds:
        clouds[name] = CloudServer(kind)
    clouds[name].reset()
    return clouds[name]


@pytest.fixture
def cloud(clouds: dict[str, CloudServer]) -> CloudServer:
    return fresh(clouds, "nextcloud")


@pytest.fixture
def owncloud(clouds: dict[str, CloudServer]) -> CloudServer:
    return fresh(clouds, "owncloud")


def test_a_small_object_costs_one_request_where_the_cloud_vouches_for_it(
    cloud: CloudServer,
) -> None:
    place = new_place(cloud)
    put(place, "v/first", b"x")
    for size in (0, 1, 3_000_000):
        before = len(cloud.requests)
        put(place, f"v/next-{size}", b"x" * size)
        assert [method for method, _ in cloud.requests[before:]] == ["PUT"]
    with pytest.raises(ObjectExists):
        put(place, "v/next-1", b"y")
    assert place.read("v/next-1") == b"x"


def test_moves_go_one_by_one_and_nothing_of_ours_fills_the_trash_bin(cloud: CloudServer) -> None:
    """Eight at once deadlock the database of a real Nextcloud, and leave paths locked."""
    place = new_place(cloud, chunk_size=5_000_000)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: put(place, f"v/{n}", b"x" * 5_000_001), range(6)))
    assert cloud.most_moving == 1
    for number in range(6):
        place.delete(f"v/{number}")
    assert cloud.tree.trashed == 0


def test_a_lost_answer_to_a_single_request_is_not_known_to_be_nothing(cloud: CloudServer) -> None:
    place = new_place(cloud)
    put(place, "v/one", b"x")
    cloud.breaks_after_put = True
    with pytest.raises(PlaceBusy) as raised:
        put(place, "v/two", b"x")
    assert raised.value.unknown


def test_a_small_object_costs_three_requests_elsewhere(cloud: CloudServer) -> None:
    cloud.vouches = False
    place = new_place(cloud)
    put(place, "v/first", b"x")
    for size in (0, 1, 3_000_000):
        before = len(cloud.requests)
        put(place, f"v/next-{size}", b"x" * size)
        assert [method for method, _ in cloud.requests[before:]] == ["PUT", "MOVE", "HEAD"]


@pytest.mark.parametrize(
    "page", ["", "/", "/index.php/apps/files/", "/remote.php/dav/files/anna", "/apps/dashboard"]
)
def test_the_server_is_found_from_any_page(cloud: CloudServer, page: str) -> None:
    place = NextcloudBackend(
        NextcloudSettings(cloud.url + page, "anna@example.org", PASSWORD), create=True
    )
    put(place, "v/one", b"x")
    assert cloud.file("vaultd/v/one") is not None


def test_the_folder_is_made_only_when_asked(cloud: CloudServer) -> None:
    place = NextcloudBackend(NextcloudSettings(cloud.url, USER, PASSWORD))
    for action in (lambda: put(place, "v/one", b"x"), lambda: names(place), place.space):
        with pytest.raises(PlaceError, match="is not there.*vaultd init"):
            action()
    with pytest.raises(PlaceError, match="is not there"):
        place.read("v/one")


def test_quota_is_told_and_a_full_cloud_is_called_full(cloud: CloudServer) -> None:
    place = new_place(cloud, chunk_size=5_000_000)
    for unknown in (-1, -2, -3):
        cloud.quota = unknown
        assert place.space().free is None
    cloud.quota = 12_000_000
    put(place, "v/one", b"x" * 1_000_000)
    space = place.space()
    assert (space.total, space.free) == (12_000_000, 12_000_000 - cloud.tree.used())
    with pytest.raises(PlaceFull, match="is full.*Make room"):
        put(place, "v/big", big())
    cloud.quota = cloud.tree.used() + 10
    with pytest.raises(PlaceFull):
        put(place, "v/two", b"x" * 1000)
    assert names(place) == ["v/one"]
    assert cloud.leftovers() == []


def test_maintenance_is_a_reason_to_wait(cloud: CloudServer) -> None:
    place = new_place(cloud)
    put(place, "v/one", b"x")
    cloud.maintenance = True
    for backend in (place, new_place(cloud)):
        with pytest.raises(PlaceBusy, match="maintenance mode") as raised:
            put(backend, "v/two", b"x")
        assert not raised.value.unknown
    cloud.maintenance = False
    put(place, "v/two", b"x")


def test_ownclouds_maintenance_too(owncloud: CloudServer) -> None:
    place = new_place(owncloud)
    put(place, "v/one", b"x")
    owncloud.maintenance = True
    with pytest.raises(PlaceBusy, match="maintenance mode"):
        place.read("v/one")


def test_a_lock_is_a_reason_to_wait(cloud: CloudServer) -> None:
    place = new_place(cloud)
    put(place, "v/one", b"x")
    target = next(name for name in cloud.tree.nodes if name.endswith("v/one"))
    cloud.locked = {target, target.replace("one", "two")}
    with pytest.raises(PlaceBusy, match=r"locked just now \(423\)") as raised:
        put(place, "v/two", b"x")
    assert not raised.value.unknown
    with pytest.raises(PlaceBusy, match="locked"):
        place.delete("v/one")
    assert cloud.leftovers() == []
    cloud.locked = set()
    put(place, "v/two", b"x")


def test_a_wrong_password_names_the_app_password(cloud: CloudServer) -> None:
    place = new_place(cloud, password="wrong")
    with pytest.raises(
        PlaceRefused, match="does not accept these credentials.*app password"
    ) as raised:
        place.probe()
    assert "wrong" not in str(raised.value) + repr(place) + repr(raised.value.__cause__)


def test_a_bearer_token_opens_it(cloud: CloudServer) -> None:
    place = new_place(cloud, token=cloud.bearer, password="")
    put(place, "v/one", b"x")
    assert place.read("v/one") == b"x"


HEADERS = [
    (), ("OC-Checksum",), ("ETag", "OC-Checksum", "Content-Range", "Content-Type"),
]  # fmt: skip


@pytest.mark.parametrize("twice", HEADERS)
@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_headers_that_come_twice_are_one(
    cloud: CloudServer, twice: tuple[str, ...], size: int
) -> None:
    """Nextcloud 33 and 34 give OC-Checksum twice with HEAD, and once with GET."""
    cloud.head_twice = twice
    place = new_place(cloud)
    put(place, "v/one", b"x" * size)
    assert [info.size for info in place.list()] == [size]


def test_checksums_that_contradict_each_other_are_settled_by_reading(cloud: CloudServer) -> None:
    place = new_place(cloud)
    cloud.other_checksum = "SHA1:" + "0" * 40
    put(place, "v/one", b"x" * 1000)
    assert place.read("v/one") == b"x" * 1000


@pytest.mark.parametrize("listed", [True, False])
def test_a_cloud_that_lists_no_uploads_is_fit(cloud: CloudServer, listed: bool) -> None:
    """Nextcloud 34 answers PROPFIND there with 405."""
    cloud.lists_uploads = listed
    findings = {finding.what: finding for finding in new_place(cloud).probe()}
    assert findings["leftovers in parts"].fine
    assert ("does not list" in findings["leftovers in parts"].sentence) is not listed


@pytest.mark.parametrize("size", [1000, 5_000_000])
def test_bytes_that_changed_on_the_way_are_thrown_away(cloud: CloudServer, size: int) -> None:
    place = new_place(cloud)
    cloud.flip = True
    with pytest.raises(PlaceBusy, match="other bytes than it was sent"):
        put(place, "v/one", b"x" * size)
    assert names(place) == []
    assert cloud.leftovers() == []


def test_owncloud_compares_the_checksum_itself(owncloud: CloudServer) -> None:
    place = new_place(owncloud)
    owncloud.flip = True
    with pytest.raises(PlaceError, match="400"):
        put(place, "v/one", b"x" * 1000)
    owncloud.flip = False
    put(place, "v/one", b"x")
    node = next(n for name, n in owncloud.tree.nodes.items() if name.endswith("v/one"))
    assert node.checksum.startswith("SHA1:")


@pytest.mark.parametrize("link", ["/s/AbCdEf123", "/index.php/s/AbCdEf", "/public.php/webdav"])
def test_a_public_link_is_refused_with_a_reason(cloud: CloudServer, link: str) -> None:
    place = NextcloudBackend(NextcloudSettings(cloud.url + link, USER, PASSWORD))
    with pytest.raises(PlaceRefused, match="public link.*drop folder"):
        place.probe()


def test_something_else_is_no_cloud(cloud: CloudServer) -> None:
    place = NextcloudBackend(NextcloudSettings(cloud.url + "/blog", USER, PASSWORD))
    with pytest.raises(PlaceError, match="no Nextcloud or ownCloud at"):
        names(place)


def test_the_probe_says_what_the_cloud_keeps_and_cleans_old_uploads(cloud: CloudServer) -> None:
    place = new_place(cloud)
    put(place, "v/one", b"x")
    root = next(name for name in cloud.tree.nodes if name.endswith("v/one"))[: -len("/v/one")]
    stale = time.time() - 90_000
    uploads = "/uploads/anna b"
    for path, age in [
        (f"{uploads}/vaultd-00", stale), (f"{uploads}/vaultd-01", time.time()),
        (f"{uploads}/other-00", stale),
    ]:  # fmt: skip
        cloud.tree.make(path)
        cloud.tree.nodes[path].modified = age
    for name, age in [("0123456789abcdef", stale), ("1123456789abcdef", time.time())]:
        cloud.tree.put(f"{root}/v/.tmp-{name}", b"half")
        cloud.tree.nodes[f"{root}/v/.tmp-{name}"].modified = age
    findings = {finding.what: finding.sentence for finding in place.probe()}
    assert findings["server"] == "it is Nextcloud 27.1.10"
    assert "trash bin" in findings["trash bin"]
    assert findings["leftovers"].startswith("1 ")
    left = cloud.leftovers()
    assert sorted(name.rpartition("/")[2] for name in left) == [
        ".tmp-1123456789abcdef", "other-00", "vaultd-01",
    ]  # fmt: skip


def test_a_login_by_a_click_gives_an_app_password(cloud: CloudServer) -> None:
    login = begin_login(cloud.url + "/index.php/login")
    assert login.url.startswith(f"{cloud.url}/index.php/login/v2/flow/")
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            cloud.allow()

    granted = login.wait(sleep=nap)
    assert len(naps) == 3
    assert granted.username == USER
    assert granted.password not in repr(granted)
    place = new_place(cloud, username=granted.username, password=granted.password)
    put(place, "v/one", b"x")


def test_a_login_nobody_allows_ends(cloud: CloudServer) -> None:
    with pytest.raises(PlaceBusy, match="Nobody allowed the login"):
        begin_login(cloud.url).wait(1, sleep=lambda _: None)


def test_a_login_elsewhere_is_refused(cloud: CloudServer) -> None:
    cloud.url = "http://evil.example"
    with pytest.raises(PlaceError, match=r"another server \(http://evil\.example\)"):
        begin_login(f"http://127.0.0.1:{cloud.port}")


@pytest.mark.parametrize("folder", ["", "/a", "a/", "a//b", "..", "a/../b", ".", "a\nb"])
def test_a_folder_is_a_plain_path(folder: str) -> None:
    with pytest.raises(UsageError):
        NextcloudSettings("https://cloud.example", folder=folder)
