"""A small Nextcloud, ownCloud 10 and ownCloud Infinite Scale, from their developer manuals.

WebDAV with quota, locks and maintenance, capabilities, chunked upload v2, OC-Checksum (stored; only
ownCloud compares it), X-Hash, TUS and Login Flow v2. One user: the id has a space in it, and the
login may be the e-mail address. Manners seen on Nextcloud 33.0.2 and 34.0.1 have a switch each.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from cheroot.wsgi import Server

from tests.backends.servers.dav_tree import DavError, DavTree, Node
from tests.backends.servers.running import PASSWORD, USER, free_port

USER_ID = "anna b"
LOGINS = (USER, "anna@example.org")
_FILES, _UPLOADS = f"/files/{USER_ID}", f"/uploads/{USER_ID}"
_DAV = "/remote.php/dav"
_SMALLEST = 5_000_000
_NAMES = {"nextcloud": "Nextcloud", "owncloud": "ownCloud", "ocis": "Infinite Scale"}
Answer = tuple[int, dict[str, str], bytes]


class CloudServer:
    """A server in a thread; tests turn its knobs while it runs."""

    def __init__(self, kind: str = "nextcloud", path: str = "") -> None:
        self.kind, self.path, self.port = kind, path, free_port()
        self._counting = threading.Lock()
        self.reset()
        self._server = Server(("127.0.0.1", self.port), self._wsgi, numthreads=20)
        self._server.keep_alive_conn_limit = 1000  # the tests keep many clients open
        self._server.prepare()
        threading.Thread(target=self._server.serve, daemon=True).start()

    def reset(self) -> None:
        """Forget all that was stored and turned."""
        self.url = f"http://127.0.0.1:{self.port}{self.path}"
        self.tree = DavTree()
        self.tree.make(_FILES)
        self.tree.make(_UPLOADS)
        self.requests: list[tuple[str, str]] = []
        self.quota = -3
        self.maintenance = False
        self.locked: set[str] = set()
        self.passwords = {PASSWORD}
        self.bearer = "a-bearer-token"
        self.polls: dict[str, bool] = {}
        self.looking_over = 0  # so many times a new TUS file is answered with 425
        self.flip = False  # stores other bytes than it gets
        self.head_twice = ("OC-Checksum",)  # headers that an answer to HEAD has twice
        self.breaks_after_put = False  # it stores, and a proxy says that it did not answer
        self.move_lies = ""  # says that it renamed, and did "nothing", or kept "half"
        self.refuses_quota = False
        self.refuses: tuple[str, ...] = ()  # methods that are answered with 501
        self.breaks_joining = False  # the last request of an upload in parts fails
        self.skips_trash = True  # 32 and later, where X-NC-Skip-Trashbin asks for it
        self.moving, self.most_moving = 0, 0  # MOVEs at this moment, and at any
        self.vouches = True  # tells the hash of what it got
        self.other_checksum = ""  # one more with HEAD
        self.lists_uploads = True  # 34 answers PROPFIND there with 405
        self._uploads: dict[str, tuple[str, int, bytes]] = {}

    def stop(self) -> None:
        self._server.stop()

    def file(self, path: str) -> Node | None:
        return self.tree.nodes.get(f"{_FILES}/{path}")

    def leftovers(self) -> list[str]:
        return [
            name
            for name in self.tree.nodes
            if "/tmp-" in name
            or ".tmp-" in name
            or (name.startswith(_UPLOADS) and name != _UPLOADS)
        ]

    def _wsgi(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        path = environ["PATH_INFO"].encode("latin-1").decode().removeprefix(self.path)
        self.requests.append((method, path))
        try:
            status, headers, body = self._answer(method, path, environ)
        except DavError as error:
            status, headers = error.status, {"Content-Type": "application/xml", **error.headers}
            body = (
                '<?xml version="1.0"?><d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">'
                f"<s:message>{error.message}</s:message></d:error>"
            ).encode()
        if "Content-Length" not in headers and status != 204:
            headers["Content-Length"] = str(len(body))
        headers["Set-Cookie"] = "oc_sessionPassphrase=none; path=/"
        given = list(headers.items())
        if method == "HEAD":
            given += [(name, value) for name, value in given if name in self.head_twice]
            if self.other_checksum:
                given.append(("OC-Checksum", self.other_checksum))
        start(f"{status} -", given)
        return [] if method == "HEAD" else [body]

    def _answer(self, method: str, path: str, environ: WSGIEnvironment) -> Answer:
        if path == "/status.php":
            return _json(
                {"installed": True, "maintenance": self.maintenance, "needsDbUpgrade": False,
                 "version": "27.1.10.2", "versionstring": "27.1.10", "edition": "",
                 "productname": _NAMES[self.kind]}
            )  # fmt: skip
        if path.startswith("/index.php/login/v2") and self.kind == "nextcloud":
            return self._login(method, path, _body(environ))
        if self.maintenance:
            headers = {"X_Nextcloud_Maintenance_Mode": "1"} if self.kind == "nextcloud" else {}
            raise DavError(503, "System in maintenance mode.", Retry_After="120", **headers)
        self._authenticate(environ)
        if path.startswith("/ocs/v2.php/cloud/"):
            if environ.get("HTTP_OCS_APIREQUEST") != "true":
                raise DavError(412, "CSRF check failed")
            return self._ocs(path.rpartition("/")[2])
        if path.startswith("/data/tus/"):
            return self._tus_part(method, path.rpartition("/")[2], environ)
        if path.startswith(_DAV):
            return self._dav(method, path[len(_DAV) :].rstrip("/"), environ)
        raise DavError(404, "no such page")

    def _authenticate(self, environ: WSGIEnvironment) -> None:
        kind, _, value = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if kind == "Bearer" and value == self.bearer:
            return
        if kind == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            if user in LOGINS and password in self.passwords:
                return
        raise DavError(401, "No public access", WWW_Authenticate='Basic realm="Nextcloud"')

    def _login(self, method: str, path: str, body: bytes) -> Answer:
        if method != "POST":
            raise DavError(405)
        if path.endswith("/poll"):
            token = parse_qs(body.decode()).get("token", [""])[0]
            if not self.polls.get(token):
                return 404, {"Content-Type": "application/json"}, b"[]"
            del self.polls[token]
            password = secrets.token_urlsafe(30)
            self.passwords.add(password)
            return _json({"server": self.url, "loginName": USER, "appPassword": password})
        token = secrets.token_urlsafe(60)
        self.polls[token] = False
        return _json(
            {"poll": {"token": token, "endpoint": f"{self.url}/index.php/login/v2/poll"},
             "login": f"{self.url}/index.php/login/v2/flow/{secrets.token_urlsafe(60)}"}
        )  # fmt: skip

    def allow(self) -> None:
        """Click "allow" in the browser."""
        for token in self.polls:
            self.polls[token] = True

    def _ocs(self, what: str) -> Answer:
        data: dict[str, Any] = {"id": USER_ID, "display-name": "Anna"}
        if what == "capabilities":
            files: dict[str, Any] = {"bigfilechunking": True, "undelete": True, "versioning": True}
            capabilities: dict[str, Any] = {"core": {"webdav-root": "remote.php/webdav"}}
            if self.kind == "ocis":
                files["tus_support"] = {
                    "version": "1.0.0", "extension": "creation,creation-with-upload",
                    "max_chunk_size": 10_000_000, "http_method_override": "",
                }  # fmt: skip
            else:
                capabilities["dav"] = {"chunking": "1.0"}
            data = {"capabilities": {**capabilities, "files": files}}
        return _json({"ocs": {"meta": {"status": "ok", "statuscode": 200}, "data": data}})

    def _dav(self, method: str, path: str, environ: WSGIEnvironment) -> Answer:
        if not f"{path}/".startswith((f"{_FILES}/", f"{_UPLOADS}/")):
            raise DavError(404, "Principal not found")
        if method in ("PUT", "DELETE", "MOVE") and path in self.locked:
            raise DavError(423, f"{path} is locked")
        if method in self.refuses:
            raise DavError(501, "not implemented")
        if method == "OPTIONS":
            return 200, {"DAV": "1, 3, extended-mkcol", "Allow": "OPTIONS"}, b""
        if method == "PROPFIND":
            if path == _UPLOADS and not self.lists_uploads:
                raise DavError(405, "Listing uploads is not allowed")
            depth = environ.get("HTTP_DEPTH", "infinity")
            if depth == "infinity" and self.kind == "ocis":
                raise DavError(400, "depth infinity is not allowed")
            if b"quota" in _body(environ) and self.refuses_quota:
                raise DavError(501, "That property is not supported")
            found = self.tree.propfind(path, self.path + _DAV, depth, self.quota)
            return 207, {"Content-Type": "application/xml; charset=utf-8"}, found
        if method == "MKCOL":
            self.tree.mkcol(path)
            return 201, {}, b""
        if method == "PUT":
            return self._put(path, environ)
        if method in ("GET", "HEAD"):
            return self._get(path, environ.get("HTTP_RANGE", ""))
        if method == "DELETE":
            before = self.tree.trashed
            self.tree.delete(path)
            if self.skips_trash and environ.get("HTTP_X_NC_SKIP_TRASHBIN") == "true":
                self.tree.trashed = before
            return 204, {}, b""
        if method == "MOVE":
            with self._counting:
                self.moving += 1
                self.most_moving = max(self.most_moving, self.moving)
            try:
                return self._move(path, environ)
            finally:
                with self._counting:
                    self.moving -= 1
        if method == "POST" and self.kind == "ocis":
            return self._tus_new(path, environ)
        raise DavError(501, f"There was no plugin in the system that handles {method}")

    def _room(self, size: int) -> None:
        if 0 <= self.quota < self.tree.used() + size:
            raise DavError(507, "Insufficient space")

    def _put(self, path: str, environ: WSGIEnvironment) -> Answer:
        promised = int(environ["CONTENT_LENGTH"])
        self._room(promised)
        if path.startswith(_UPLOADS) and self.kind == "nextcloud":
            number = path.rpartition("/")[2]
            if not number.isdecimal() or not 1 <= int(number) <= 10_000:
                raise DavError(400, "Invalid chunk name, must be numeric between 1 and 10000")
            if "HTTP_DESTINATION" not in environ:
                raise DavError(400, "chunking v2 wants a Destination")
            self._room(int(environ.get("HTTP_OC_TOTAL_LENGTH", 0)))
        body = _body(environ)
        if len(body) != promised:
            raise DavError(400, f"Expected filesize of {promised} but read {len(body)}")
        if environ.get("HTTP_IF_NONE_MATCH") == "*" and path in self.tree.nodes:
            raise DavError(412, "An If-None-Match header was specified")
        if self.flip and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        checksum = environ.get("HTTP_OC_CHECKSUM", "")
        kind, _, value = checksum.partition(":")
        own = hashlib.sha1(body).hexdigest()
        if self.kind == "owncloud" and kind == "SHA1" and value.lower() != own:
            raise DavError(400, "The computed checksum does not match the one received")
        new = self.tree.put(path, body, checksum)
        if self.breaks_after_put:
            raise DavError(504, "The proxy waited too long")
        headers = {"ETag": f'"{own}"', "OC-ETag": f'"{own}"'}
        if environ.get("HTTP_X_HASH") == "sha256" and self.kind == "nextcloud" and self.vouches:
            headers["X-Hash-SHA256"] = hashlib.sha256(body).hexdigest()
        return (201 if new else 204), headers, b""

    def _get(self, path: str, wanted: str) -> Answer:
        node = self.tree.find(path)
        if path.startswith(_UPLOADS):
            raise DavError(405, "Reading intermediate uploads is not allowed")
        if self.looking_over and "/tmp-" in path:
            self.looking_over -= 1
            raise DavError(425, "the file is being looked over")
        if node.content is None:
            return 200, {"Content-Type": "text/plain"}, b"This is the WebDAV interface."
        headers = {"ETag": node.etag, "Content-Type": "application/octet-stream"}
        if node.checksum:
            headers["OC-Checksum"] = node.checksum
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        size = len(node.content)
        if found is None or not size:
            return 200, headers, node.content
        start, end = int(found[1]), min(int(found[2] or size), size - 1)
        if start >= size:
            raise DavError(416, "The start offset exceeded the size of the entity")
        headers["Content-Range"] = f"bytes {start}-{end}/{size}"
        return 206, headers, node.content[start : end + 1]

    def _move(self, path: str, environ: WSGIEnvironment) -> Answer:
        to = unquote(urlsplit(environ["HTTP_DESTINATION"]).path)
        if not to.startswith(self.path + _DAV):
            raise DavError(403, "The destination is out of base")
        target = to[len(self.path + _DAV) :].rstrip("/")
        if target in self.locked:
            raise DavError(423, f"{target} is locked")
        overwrite = environ.get("HTTP_OVERWRITE", "T") != "F"
        if self.move_lies == "nothing":
            return 201, {}, b""
        folder, _, name = path.rpartition("/")
        if name == ".file" and path.startswith(_UPLOADS):
            new = self.tree.move(
                path, target, overwrite=overwrite,
                content=lambda: self._join(folder, environ.get("HTTP_OC_TOTAL_LENGTH")),
            )  # fmt: skip
            self.tree.nodes = {
                n: node
                for n, node in self.tree.nodes.items()
                if not f"{n}/".startswith(f"{folder}/")
            }
        else:
            new = self.tree.move(path, target, overwrite=overwrite)
        if self.move_lies == "half":
            node = self.tree.nodes[target]
            node.content = (node.content or b"")[: len(node.content or b"") // 2]
        return (201 if new else 204), {}, b""

    def _join(self, folder: str, total: str | None) -> bytes:
        if self.breaks_joining:
            raise DavError(403, "Files of that kind are not allowed")
        parts = [node.content or b"" for _, node in sorted(self.tree.below(folder))]
        size = sum(map(len, parts))
        if total is not None and total != str(size):
            raise DavError(400, f"Chunks on server do not sum up to {total} but to {size} bytes")
        if self.kind == "nextcloud" and any(len(part) < _SMALLEST for part in parts[:-1]):
            raise DavError(400, "EntityTooSmall")
        return b"".join(parts)

    def _tus_new(self, path: str, environ: WSGIEnvironment) -> Answer:
        key, _, name = environ["HTTP_UPLOAD_METADATA"].partition(" ")
        if environ.get("HTTP_TUS_RESUMABLE") != "1.0.0" or key != "filename":
            raise DavError(412)
        size = int(environ["HTTP_UPLOAD_LENGTH"])
        self._room(size)
        token = secrets.token_urlsafe(40)
        target = f"{path}/{base64.b64decode(name).decode()}"
        self._uploads[token] = (target, size, b"")
        headers = {"Location": f"{self.url}/data/tus/{token}", "Tus-Resumable": "1.0.0"}
        return 201, headers, b""

    def _tus_part(self, method: str, token: str, environ: WSGIEnvironment) -> Answer:
        if token not in self._uploads:
            raise DavError(404)
        target, size, have = self._uploads[token]
        if method == "DELETE":
            del self._uploads[token]
            return 204, {}, b""
        if method != "PATCH" or environ["CONTENT_TYPE"] != "application/offset+octet-stream":
            raise DavError(415)
        if int(environ["HTTP_UPLOAD_OFFSET"]) != len(have):
            raise DavError(409)
        if int(environ["CONTENT_LENGTH"]) > 10_000_000:
            raise DavError(413)
        have += _body(environ)
        self._uploads[token] = (target, size, have)
        if len(have) == size:
            self.tree.put(target, have)
            del self._uploads[token]
        return 204, {"Upload-Offset": str(len(have)), "Tus-Resumable": "1.0.0"}, b""


def _body(environ: WSGIEnvironment) -> bytes:
    found: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return found


def _json(value: object) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
