"""The HTTP of a small faithful Dropbox, written from its documentation, on two loopback ports.

What it keeps to: the two hosts with their own routes; JSON in bodies or in `Dropbox-API-Arg`; 400
as plain text for requests that are no good, unknown fields among them; scopes; ranges.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs

from tests.backends.servers.dropbox_account import Dropbox, File, Json, Refusal

_PATH = re.compile(r"/(.|[\r\n])*|id:.*|(ns:[0-9]+(/.*)?)")
_COMMIT = {"path", "mode", "autorename", "client_modified", "mute", "property_groups",
           "strict_conflict", "content_hash"}  # fmt: skip
# route: host, style, scope, known fields
_ROUTES: dict[str, tuple[str, str, str, set[str]]] = {
    "files/get_metadata": ("api", "rpc", "files.metadata.read", {"path"}),
    "files/list_folder": ("api", "rpc", "files.metadata.read", {"path", "recursive", "limit"}),
    "files/list_folder/continue": ("api", "rpc", "files.metadata.read", {"cursor"}),
    "files/delete_v2": ("api", "rpc", "files.content.write", {"path", "parent_rev"}),
    "users/get_space_usage": ("api", "rpc", "account_info.read", set()),
    "files/download": ("content", "download", "files.content.read", {"path"}),
    "files/upload": ("content", "upload", "files.content.write", _COMMIT),
    "files/upload_session/start": ("content", "upload", "files.content.write",
                                   {"close", "session_type", "content_hash"}),
    "files/upload_session/append_v2": ("content", "upload", "files.content.write",
                                       {"cursor", "close", "content_hash"}),
    "files/upload_session/finish": ("content", "upload", "files.content.write",
                                    {"cursor", "commit", "content_hash"}),
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    dropbox: ClassVar[Dropbox]
    host: ClassVar[str]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        route = self.path.removeprefix("/2/")
        try:
            planned = self.dropbox.troubles.get(route, [])
            trouble = planned.pop(0) if planned else None
            if trouble is None or trouble.after:
                status, body, headers = self._answer(route, content)
            if trouble is not None:
                raise Refusal(trouble.status, trouble.body, trouble.headers)
        except Refusal as refusal:
            plain = isinstance(refusal.body, str)
            body = (refusal.body if plain else json.dumps(refusal.body)).encode()
            kind = "text/plain; charset=utf-8" if plain else "application/json"
            status, headers = refusal.status, {"Content-Type": kind, **refusal.headers}
        self.dropbox.requests.append((route, status))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, route: str, content: bytes) -> tuple[int, bytes, dict[str, str]]:
        json_type = {"Content-Type": "application/json"}
        if route == "/oauth2/token" and self.host == "api":
            form = {k: v[0] for k, v in parse_qs(content.decode()).items()}
            with self.dropbox.lock:
                return 200, json.dumps(self.dropbox.token(form)).encode(), json_type
        known = _ROUTES.get(route)
        if known is None or known[0] != self.host or not self.path.startswith("/2/"):
            raise Refusal(404, "Not found")
        _, style, scope, fields = known
        self.dropbox.check_token(self.headers["Authorization"], route, scope)
        argument = self._argument(route, style, fields, content)
        with self.dropbox.lock:
            if style == "download":
                return self._download(self.dropbox.download(argument))
            result = self._call(route, argument, content)
        return 200, json.dumps(result).encode(), json_type

    def _argument(self, route: str, style: str, fields: set[str], content: bytes) -> Json:
        def bad(why: str) -> Refusal:
            return Refusal(400, f'Error in call to API function "{route}": {why}')

        kind = self.headers["Content-Type"]
        text = content.decode() if style == "rpc" else self.headers["Dropbox-API-Arg"]
        wanted = {"rpc": ("application/json",), "upload": ("application/octet-stream",),
                  "download": (None, "", "application/octet-stream", "text/plain")}[style]  # fmt: skip
        if kind not in wanted:
            raise bad(f'Bad HTTP "Content-Type" header: "{kind}".')
        if text is None or not text.isascii():
            raise bad('HTTP header "Dropbox-API-Arg": could not decode input as JSON')
        try:
            argument = json.loads(text)
        except ValueError:
            raise bad("request body: could not decode input as JSON") from None
        if argument is None and not fields:
            return {}
        unknown = set(argument) - fields
        if unknown:
            raise bad(f"unknown field '{min(unknown)}'")
        path = argument.get("path", argument.get("commit", {}).get("path"))
        root_is_fine = route == "files/list_folder" and path == ""
        if path is not None and not root_is_fine and not _PATH.fullmatch(path):
            raise bad(f"path: '{path}' did not match pattern")
        return argument

    def _call(self, route: str, argument: Json, content: bytes) -> Json | None:
        dropbox = self.dropbox
        if route == "files/get_metadata":
            return dropbox.get_metadata(argument["path"])
        if route == "files/list_folder":
            return dropbox.list_folder(
                argument["path"], argument.get("recursive", False), argument.get("limit", 500)
            )
        if route == "files/list_folder/continue":
            return dropbox.list_continue(argument["cursor"])
        if route == "files/delete_v2":
            return dropbox.delete(argument["path"], argument.get("parent_rev"))
        if route == "users/get_space_usage":
            return dropbox.get_space_usage()
        return {
            "files/upload": dropbox.upload,
            "files/upload_session/start": dropbox.session_start,
            "files/upload_session/append_v2": dropbox.session_append,
            "files/upload_session/finish": dropbox.session_finish,
        }[route](argument, content)

    def _download(self, file: File) -> tuple[int, bytes, dict[str, str]]:
        headers = {"Content-Type": "application/octet-stream", "ETag": f'"{file.rev}"',
                   "Dropbox-API-Result": json.dumps(file.metadata())}  # fmt: skip
        size = len(file.content)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if wanted is None or self.dropbox.ignore_ranges:
            return 200, file.content, headers
        first = int(wanted[1])
        last = min(int(wanted[2]) if wanted[2] else size - 1, size - 1)
        if first >= size:
            raise Refusal(416, "", {"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return 206, file.content[first : last + 1], headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        # A client that breaks off is what many tests are about; a fault of ours is shown.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@contextmanager
def serve_dropbox(dropbox: Dropbox) -> Iterator[Dropbox]:
    """Serve it on two free ports, `api_url` and `content_url`."""
    servers = []
    for host in ("api", "content"):
        handler = type("Handler", (_Handler,), {"dropbox": dropbox, "host": host})
        server = _Server(("127.0.0.1", 0), handler)
        setattr(dropbox, f"{host}_url", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        servers.append((server, thread))
    try:
        yield dropbox
    finally:
        for server, thread in servers:
            server.shutdown()
            server.server_close()
            thread.join(5)
