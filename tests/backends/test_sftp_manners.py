"""SFTP servers with the manners of real ones: OK without effect, offers that are refused, cuts."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.conformance import BackendConformance, names, put
from tests.backends.servers.plain_sftp import PASSWORD, USER, plain_sftp
from vaultd.backends.base import Backend, Space
from vaultd.backends.sftp.backend import SftpBackend, SftpSettings
from vaultd.backends.sftp.host_key import fingerprint
from vaultd.backends.sftp.key import private_key
from vaultd.errors import PlaceError, PlaceRefused


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SftpBackend]:
    manners = frozenset(str(request.param).split())
    with plain_sftp(tmp_path, manners=manners) as (port, key):
        backend = SftpBackend(
            SftpSettings(
                host="127.0.0.1", port=port, username=USER, password=PASSWORD, path="/vaults",
                host_key=fingerprint(key.asbytes()), read_timeout=10,
            ),
            create=True,
        )  # fmt: skip
        yield backend
        backend.close()


class _Served(BackendConformance):
    @pytest.fixture
    def backend(self, served: SftpBackend) -> SftpBackend:
        return served

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """What is missing there does no harm, and is said."""
        put(backend, "a/b", b"x")
        findings = list(backend.probe())
        assert {finding.what for finding in findings if not finding.fine} == {"sync", "space"}
        assert not [finding for finding in findings if finding.grave and not finding.fine]
        assert names(backend) == ["a/b"]


@pytest.mark.parametrize("served", ["link-lies"], indirect=True)
class TestOkToALinkThatIsNone(_Served):
    pass


@pytest.mark.parametrize("served", ["fails"], indirect=True)
class TestExtensionsThatAreOfferedAndRefused(_Served):
    pass


@pytest.mark.parametrize("served", ["refuses", "fails"], indirect=True)
def test_what_is_offered_and_refused_is_done_without_and_said(served: SftpBackend) -> None:
    put(served, "a/b", b"x")
    assert served.space() == Space(None, None)
    said = {finding.what: finding.sentence for finding in served.probe()}
    assert "offered and then refused" in said["sync"]
    assert "offered and then refused" in said["space"]
    assert names(served) == ["a/b"]


@pytest.mark.parametrize(
    "served", ["no-fstat", "zero-fstat", "no-excl", "bare-listing"], indirect=True
)
def test_what_a_server_lacks_does_no_harm(served: SftpBackend) -> None:
    for name, content in (("a/b", b"x" * 100_000), ("a/empty", b"")):
        put(served, name, content)
        assert served.read(name) == content
        assert served.read(name, 5) == content[5:]
    assert [finding for finding in served.probe() if finding.grave and not finding.fine] == []
    assert [(info.name, info.size) for info in served.list()] == [("a/b", 100_000), ("a/empty", 0)]


@pytest.mark.parametrize(
    ("served", "said"),
    [("rename-lies", "it is not there"), ("rename-cuts", "stored 50 of 100 bytes")],
    indirect=["served"],
)
def test_an_ok_to_a_rename_without_effect_stores_nothing(served: SftpBackend, said: str) -> None:
    with pytest.raises(PlaceError, match=said):
        served.create("a/b", io.BytesIO(b"x" * 100), 100)
    assert names(served) == []


@pytest.mark.parametrize("served", ["rename-lies"], indirect=True)
def test_a_probe_finds_out_a_rename_without_effect(served: SftpBackend) -> None:
    assert [finding.what for finding in served.probe() if finding.grave and not finding.fine] == [
        "create without replacing"
    ]


@pytest.mark.parametrize("served", ["cut-listing", "gone-listing"], indirect=True)
def test_a_listing_that_ends_in_a_refusal_is_an_error(served: SftpBackend) -> None:
    for name in ("v/a", "v/b", "v/c"):
        put(served, name, b"x")
    with pytest.raises(PlaceError):
        list(served.list("v/"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ssh-rsa"),
        (["-algorithm", "ED25519"], "ssh-ed25519"),
        (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "ecdsa-sha2-nistp256"),
    ],
)
@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_a_key_in_pkcs8_form_is_taken(
    tmp_path: Path, kind: list[str], name: str, passphrase: str | None
) -> None:
    locked = ["-aes-256-cbc", "-pass", f"pass:{passphrase}"] if passphrase else []
    path = tmp_path / "id"
    subprocess.run(
        ["openssl", "genpkey", *kind, *locked, "-out", path], check=True, capture_output=True
    )
    path.chmod(0o600)
    key = private_key(path.read_text(), passphrase, "The private key id")
    assert key.get_name() == name
    if name == "ssh-ed25519":  # which ssh-keygen reads in this form only since OpenSSH 9.6
        assert key.can_sign()
        return
    public = subprocess.run(
        ["ssh-keygen", "-y", "-P", passphrase or "", "-f", path], check=True, capture_output=True
    ).stdout
    assert f"{name} {key.get_base64()}" == " ".join(public.decode().split()[:2])


def test_a_key_that_cannot_be_opened_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "id"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ED25519", "-aes-256-cbc", "-pass", "pass:a b",
         "-out", path], check=True, capture_output=True,
    )  # fmt: skip
    with pytest.raises(PlaceRefused, match="locked by a passphrase"):
        private_key(path.read_text(), None, "The key")
    with pytest.raises(PlaceRefused, match=r"PKCS #8.*ssh-keygen -p -m PEM"):
        private_key(path.read_text(), "wrong", "The key")
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "X25519", "-out", path],
        check=True,
        capture_output=True,
    )
    with pytest.raises(PlaceRefused, match="a kind that SSH does not use"):
        private_key(path.read_text(), None, "The key")
    with pytest.raises(PlaceRefused, match="cannot be opened"):
        private_key("nothing", None, "The key")
