"""Letting vaultd into a Dropbox: the authorization with PKCE, from the page to the first object."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.dropbox import serve_dropbox
from tests.backends.servers.dropbox_account import Dropbox, Trouble
from vaultd.backends.dropbox.auth import SCOPES, authorize_url, exchange_code, new_verifier
from vaultd.backends.dropbox.backend import DropboxBackend, DropboxSettings
from vaultd.backends.dropbox.http import DropboxHttp
from vaultd.errors import PlaceBusy, PlaceError, PlaceRefused


@pytest.fixture
def dropbox() -> Iterator[Dropbox]:
    with serve_dropbox(Dropbox()) as running:
        yield running


@pytest.fixture
def settings(dropbox: Dropbox) -> DropboxSettings:
    return DropboxSettings(
        dropbox.app_key, api_url=dropbox.api_url, content_url=dropbox.content_url
    )


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_a_verifier_is_long_enough_and_never_the_same() -> None:
    verifiers = {new_verifier() for _ in range(100)}
    assert len(verifiers) == 100
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    assert all(43 <= len(v) <= 128 and set(v) <= allowed for v in verifiers)  # RFC 7636 4.1


def test_the_page_asks_for_what_is_needed_and_hides_the_verifier() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636 appendix B
    url = authorize_url("key", verifier, state="a&b", redirect_uri="https://pod.example/x?y")
    assert url.startswith("https://www.dropbox.com/oauth2/authorize?")
    assert query_of(url) == {
        "response_type": "code",
        "client_id": "key",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "token_access_type": "offline",
        "scope": SCOPES,
        "redirect_uri": "https://pod.example/x?y",
        "state": "a&b",
    }
    assert verifier not in url
    assert "redirect_uri" not in authorize_url("key", verifier)


@pytest.mark.parametrize("redirect_uri", ["", "https://pod.example/back"])
def test_from_the_page_to_the_first_object(
    dropbox: Dropbox, settings: DropboxSettings, redirect_uri: str
) -> None:
    verifier = new_verifier()
    query = query_of(authorize_url(settings.app_key, verifier, redirect_uri=redirect_uri))
    code = dropbox.allow(query["code_challenge"], query.get("redirect_uri", ""))
    token = exchange_code(DropboxHttp(settings), f" {code}\n", verifier, redirect_uri=redirect_uri)
    backend = DropboxBackend(dataclasses.replace(settings, refresh_token=token))
    put(backend, "v/a", b"x")
    assert names(backend) == ["v/a"]


def test_a_code_works_once_and_only_with_its_verifier(
    dropbox: Dropbox, settings: DropboxSettings
) -> None:
    http, verifier = DropboxHttp(settings), new_verifier()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    code = dropbox.allow(challenge.rstrip(b"=").decode())
    exchange_code(http, code, verifier)
    stolen = dropbox.allow(challenge.rstrip(b"=").decode())
    for wrong_code, wrong_verifier in (
        (code, verifier), (stolen, new_verifier()), ("mistyped", verifier), ("", verifier),
    ):  # fmt: skip
        with pytest.raises(PlaceRefused, match="mistyped, too old, or already used") as raised:
            exchange_code(http, wrong_code, wrong_verifier)
        assert verifier not in str(raised.value)


@pytest.mark.parametrize(
    ("trouble", "kind", "sentence"),
    [(Trouble(200, {"access_token": "x"}), PlaceError, "no refresh token"),
     (Trouble(200, {"refresh_token": "a b"}), PlaceError, "no refresh token"),
     (Trouble(200, "s3cret"), PlaceError, "what is no token"),
     (Trouble(200, '{"refresh_token":"' + "x" * 100_000 + '"}'), PlaceError, "more than was asked"),
     (Trouble(400, "s3cret"), PlaceRefused, "does not know this app key"),
     (Trouble(400, {"error": "unauthorized_client"}), PlaceRefused, "app key"),
     (Trouble(429, "", {"Retry-After": "5"}), PlaceBusy, "slow down"),
     (Trouble(503), PlaceBusy, r"just now \(503\)"), (Trouble(302), PlaceError, r"\(302\)")],
)  # fmt: skip
def test_an_answer_that_is_no_token_is_a_sentence(
    dropbox: Dropbox,
    settings: DropboxSettings,
    trouble: Trouble,
    kind: type[PlaceError],
    sentence: str,
) -> None:
    dropbox.troubles["/oauth2/token"] = [trouble]
    with pytest.raises(kind, match=sentence) as raised:
        exchange_code(DropboxHttp(settings), "code", new_verifier())
    assert "s3cret" not in str(raised.value)
