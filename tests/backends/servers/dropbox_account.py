"""One account of a small faithful Dropbox, with one app, written from the HTTP documentation.

What it keeps to: OAuth 2 with PKCE and refresh tokens; 401 and 409 shapes; paths without case;
folders that come with files and stay without; `strict_conflict`; content hashes; upload sessions;
listings in pages with cursors that also tell what changed since; the quota.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
_BLOCK = 4 * 1024 * 1024
_MOST = 150 * 1024 * 1024


def content_hash(content: bytes) -> str:
    """The documented algorithm, written apart from the product's."""
    blocks = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    return hashlib.sha256(b"".join(hashlib.sha256(b).digest() for b in blocks)).hexdigest()


class Refusal(Exception):
    """An answer that is not 200."""

    def __init__(self, status: int, body: Json | str, headers: dict[str, str] | None = None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def conflict409(*tags: str, **inside: object) -> Refusal:
    """The 409 of a chain of tags, each below the one before under its own name."""
    error: Json = {".tag": tags[-1], **inside}
    for tag in reversed(tags[:-1]):
        error = {".tag": tag, tag: error}
    return Refusal(409, {"error_summary": "/".join(tags) + "/..", "error": error})


def upload409(*tags: str) -> Refusal:
    """files/upload has its path error inline, as `reason`."""
    inner = conflict409(*tags).body["error"]
    error = {".tag": "path", "reason": inner, "upload_session_id": "AAAA"}
    return Refusal(409, {"error_summary": "path/" + "/".join(tags) + "/..", "error": error})


@dataclass
class File:
    path: str  # as it was written
    content: bytes
    rev: str
    modified: datetime

    def metadata(self) -> Json:
        stamp = self.modified.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "name": self.path.rpartition("/")[2],
            "path_lower": self.path.lower(),
            "path_display": self.path,
            "id": f"id:{self.rev}",
            "client_modified": stamp,
            "server_modified": stamp,
            "rev": self.rev,
            "size": len(self.content),
            "is_downloadable": True,
            "content_hash": content_hash(self.content),
        }


@dataclass
class Trouble:
    """An answer given instead of the real one; `after`: the request takes effect all the same."""

    status: int
    body: Json | str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


class Dropbox:
    """One account's Dropbox with one app. `troubles[route]` are answered first, in order."""

    app_key = "appkey1234567890"

    def __init__(self, *, quota: int = 2_000_000_000, page: int = 2000) -> None:
        self.quota, self.page = quota, page
        self.files: dict[str, File] = {}
        self.folders: set[str] = {""}
        self.journal: list[Json] = []
        self.refresh_tokens: set[str] = set()
        self.access_tokens: dict[str, str] = {}  # to "fine" or "expired"
        self.codes: dict[str, Json] = {}
        self.sessions: dict[str, Json] = {}
        self.cursors: dict[str, Json] = {}
        self.troubles: dict[str, list[Trouble]] = {}
        self.requests: list[tuple[str, int]] = []
        self.token_lasts = 14400
        self.allocation: Json = {".tag": "individual", "allocated": quota}
        self.scopes = {"account_info.read", "files.metadata.read", "files.content.read",
                       "files.content.write"}  # fmt: skip
        self.damage_next_store = self.ignore_strictness = self.ignore_ranges = False
        self.on_page: Callable[[], None] = lambda: None
        self.lock = threading.RLock()
        self._numbers = itertools.count(0x15C0FFEE0000)
        self.api_url = self.content_url = ""

    # What a user does in the browser.

    def allow(self, challenge: str, redirect_uri: str = "") -> str:
        """The user clicks "Allow" on the authorize page; returns the code that is shown."""
        code = secrets.token_urlsafe(32)
        self.codes[code] = {"challenge": challenge, "redirect_uri": redirect_uri}
        return code

    def grant(self) -> str:
        """Return a refresh token, as the whole authorization gives it."""
        token = "refresh-" + secrets.token_urlsafe(32)
        self.refresh_tokens.add(token)
        return token

    def revoke(self) -> None:
        """The user removes the app from the account."""
        self.refresh_tokens.clear()
        self.access_tokens.clear()

    def expire(self) -> None:
        """All access tokens reach their end."""
        self.access_tokens = dict.fromkeys(self.access_tokens, "expired")

    def routes(self, route: str) -> int:
        """How many requests there were for a route."""
        return sum(1 for name, _ in self.requests if name == route)

    @property
    def used(self) -> int:
        return sum(len(file.content) for file in self.files.values())

    # OAuth 2.

    def token(self, form: dict[str, str]) -> Json:
        if form.get("client_id") != self.app_key:
            raise Refusal(400, {"error": "invalid_client: Invalid client_id or client_secret"})
        grant = form.get("grant_type")
        if grant == "refresh_token":
            if form.get("refresh_token") not in self.refresh_tokens:
                raise Refusal(400, {"error": "invalid_grant",
                                    "error_description": "refresh token is invalid or revoked"})  # fmt: skip
            return self._access()
        if grant != "authorization_code":
            raise Refusal(400, {"error": "unsupported_grant_type"})
        known = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            known is None
            or known["challenge"] != challenge
            or known["redirect_uri"] != form.get("redirect_uri", "")
        ):
            raise Refusal(400, {"error": "invalid_grant",
                                "error_description": "code doesn't exist or has expired"})  # fmt: skip
        return {**self._access(), "refresh_token": self.grant(), "uid": "1", "account_id": "dbid:1"}

    def _access(self) -> Json:
        token = "sl.access-" + secrets.token_urlsafe(40)
        self.access_tokens[token] = "fine"
        return {"access_token": token, "token_type": "bearer", "expires_in": self.token_lasts,
                "scope": " ".join(sorted(self.scopes))}  # fmt: skip

    def check_token(self, header: str | None, route: str, scope: str) -> None:
        if header is None:
            raise Refusal(400, f'Error in call to API function "{route}": Must provide HTTP header '
                          '"Authorization" or URL parameter "authorization".')  # fmt: skip
        token = header.removeprefix("Bearer ")
        state = self.access_tokens.get(token)
        if state != "fine":
            tag = "expired_access_token" if state == "expired" else "invalid_access_token"
            raise Refusal(401, {"error_summary": f"{tag}/...", "error": {".tag": tag}})
        if scope not in self.scopes:
            error = {".tag": "missing_scope", "required_scope": scope}
            raise Refusal(401, {"error_summary": "missing_scope/.", "error": error})

    # Files.

    def _lookup(self, path: str) -> Json:
        lower = path.lower()
        if lower in self.files:
            return {".tag": "file", **self.files[lower].metadata()}
        if lower in self.folders:
            return {".tag": "folder", "name": path.rpartition("/")[2], "path_lower": lower,
                    "path_display": path, "id": "id:f"}  # fmt: skip
        raise conflict409("path", "not_found")

    def get_metadata(self, path: str) -> Json:
        return self._lookup(path)

    def _write(self, commit: Json, content: bytes, refuse: Callable[..., Refusal]) -> Json:
        path: str = commit["path"]
        lower = path.lower()
        if lower.endswith("/") or "//" in lower:
            raise refuse("malformed_path")
        above = lower
        while above := above.rpartition("/")[0]:
            if above in self.files:
                raise refuse("conflict", "file_ancestor")
        if lower in self.folders:
            raise refuse("conflict", "folder")
        there = self.files.get(lower)
        if there is not None:
            assert commit.get("mode", "add") == "add", "no test needs another mode"
            assert not commit.get("autorename"), "no test needs renaming"
            strict = commit.get("strict_conflict") and not self.ignore_strictness
            if strict or there.content != content:
                raise refuse("conflict", "file")
            return there.metadata()
        if self.used + len(content) > self.quota:
            raise refuse("insufficient_space")
        if self.damage_next_store:
            self.damage_next_store = False
            content = content[:-1] + bytes([content[-1] ^ 1])
        file = File(path, content, f"{next(self._numbers):x}", datetime.now(UTC))
        self.files[lower] = file
        above = lower
        while above := above.rpartition("/")[0]:
            self.folders.add(above)
        self.journal.append({".tag": "file", **file.metadata()})
        return file.metadata()

    def _check_hash(self, argument: Json, content: bytes) -> None:
        wanted = argument.get("content_hash")
        if wanted is not None and wanted != content_hash(content):
            raise conflict409("content_hash_mismatch")
        if len(content) > _MOST:
            raise conflict409("payload_too_large")

    def upload(self, argument: Json, content: bytes) -> Json:
        self._check_hash(argument, content)
        return self._write(argument, content, upload409)

    def session_start(self, argument: Json, content: bytes) -> Json:
        self._check_hash(argument, content)
        session = f"pid_upload_session:{secrets.token_urlsafe(12)}"
        self.sessions[session] = {"content": content, "closed": argument.get("close", False)}
        return {"session_id": session}

    def _session(self, cursor: Json, refuse: Callable[..., Refusal]) -> Json:
        session = self.sessions.get(cursor["session_id"])
        if session is None:
            raise refuse("not_found")
        if len(session["content"]) != cursor["offset"]:
            raise refuse("incorrect_offset", correct_offset=len(session["content"]))
        return session

    def session_append(self, argument: Json, content: bytes) -> None:
        self._check_hash(argument, content)
        session = self._session(argument["cursor"], conflict409)
        if session["closed"]:
            raise conflict409("closed")
        session["content"] += content
        session["closed"] = argument.get("close", False)

    def session_finish(self, argument: Json, content: bytes) -> Json:
        self._check_hash(argument, content)
        session = self._session(
            argument["cursor"], lambda *tags, **more: conflict409("lookup_failed", *tags, **more)
        )
        stored = self._write(
            argument["commit"],
            session["content"] + content,
            lambda *tags: conflict409("path", *tags),
        )
        del self.sessions[argument["cursor"]["session_id"]]
        return stored

    def download(self, argument: Json) -> File:
        found = self._lookup(argument["path"])
        if found[".tag"] != "file":
            raise conflict409("path", "not_file")
        return self.files[found["path_lower"]]

    def delete(self, path: str, parent_rev: str | None) -> Json:
        try:
            found = self._lookup(path)
        except Refusal:
            raise conflict409("path_lookup", "not_found") from None
        if parent_rev is not None and found.get("rev") != parent_rev:
            raise conflict409("path_write", "conflict", "file")
        lower = path.lower()
        for key in [k for k in self.files if f"{k}/".startswith(f"{lower}/")]:
            del self.files[key]
        self.folders -= {k for k in self.folders if k and f"{k}/".startswith(f"{lower}/")}
        self.journal.append({".tag": "deleted", "name": path.rpartition("/")[2],
                             "path_lower": lower, "path_display": path})  # fmt: skip
        return {"metadata": found}

    def list_folder(self, path: str, recursive: bool, limit: int) -> Json:
        if path == "/":
            raise Refusal(400, 'Specify the root folder as an empty string rather than as "/".')
        if path:
            found = self._lookup(path)
            if found[".tag"] != "folder":
                raise conflict409("path", "not_folder")
        lower = path.lower()
        inside = [p for p in (*self.files, *self.folders) if p and f"{p}/".startswith(f"{lower}/")]
        if not recursive:
            inside = [p for p in inside if p.rpartition("/")[0] == lower and p != lower]
        random.Random(7).shuffle(inside)  # no order is promised
        found_now = [self._lookup(p) for p in inside]
        cursor = {"left": found_now, "at": len(self.journal), "below": lower,
                  "limit": min(limit, self.page)}  # fmt: skip
        return self._page(cursor)

    def list_continue(self, name: str) -> Json:
        self.on_page()
        if name not in self.cursors:
            raise conflict409("reset")
        return self._page(self.cursors.pop(name))

    def _page(self, cursor: Json) -> Json:
        entries, left = cursor["left"][: cursor["limit"]], cursor["left"][cursor["limit"] :]
        at = cursor["at"]
        if not left:
            news, at = self.journal[at:], len(self.journal)
            below = cursor["below"] + "/"
            entries += [item for item in news if f"{item['path_lower']}/".startswith(below)]
        name = secrets.token_urlsafe(12)
        self.cursors[name] = {**cursor, "left": left, "at": at}
        return {"entries": entries, "cursor": name, "has_more": bool(left)}

    def get_space_usage(self) -> Json:
        return {"used": self.used, "allocation": self.allocation}
