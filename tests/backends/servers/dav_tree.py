"""The files of a small cloud server, in memory, with the answers that sabre/dav gives."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import quote


class DavError(Exception):
    """A request that is answered with this status."""

    def __init__(self, status: int, message: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@dataclass
class Node:
    """A file, or a folder where `content` is None."""

    content: bytes | None
    modified: float = field(default_factory=time.time)
    checksum: str = ""

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content or b"").hexdigest()}"'


class DavTree:
    """Nodes by path ("/files/anna/a"), every change under one lock."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {"": Node(None)}
        self.lock = threading.RLock()
        self.trashed = 0

    def used(self) -> int:
        return self.trashed + sum(len(node.content or b"") for node in list(self.nodes.values()))

    def find(self, path: str) -> Node:
        if path not in self.nodes:
            raise DavError(404, f"File with name {path} could not be located")
        return self.nodes[path]

    def _parent(self, path: str, status: int) -> None:
        parent = self.nodes.get(path.rpartition("/")[0])
        if parent is None or parent.content is not None:
            raise DavError(status, "Parent node does not exist")

    def make(self, path: str) -> None:
        """Make a folder and those above it, as an administrator does."""
        parts = path.strip("/").split("/")
        for end in range(1, len(parts) + 1):
            self.nodes.setdefault("/" + "/".join(parts[:end]), Node(None))

    def mkcol(self, path: str) -> None:
        with self.lock:
            if path in self.nodes:
                raise DavError(405, "The resource you tried to create already exists")
            self._parent(path, 409)
            self.nodes[path] = Node(None)

    def put(self, path: str, content: bytes, checksum: str = "") -> bool:
        """Store a file; returns whether it is new."""
        with self.lock:
            self._parent(path, 404)
            old = self.nodes.get(path)
            if old is not None and old.content is None:
                raise DavError(409, "PUT is not allowed on non-files.")
            self.nodes[path] = Node(content, checksum=checksum)
            return old is None

    def delete(self, path: str) -> None:
        with self.lock:
            self.find(path)
            for name in [n for n in self.nodes if n == path or n.startswith(f"{path}/")]:
                self.trashed += len(self.nodes[name].content or b"")
                del self.nodes[name]

    def move(
        self,
        source: str,
        target: str,
        *,
        overwrite: bool,
        content: Callable[[], bytes] | None = None,
    ) -> bool:
        """Rename (or store what `content` gives); returns whether the target is new."""
        with self.lock:
            if content is None:
                self.find(source)
            self._parent(target, 409)
            exists = target in self.nodes
            if exists and not overwrite:
                raise DavError(412, "The destination node already exists")
            if content is not None:
                self.nodes[target] = Node(content())
                return not exists
            if exists:
                self.delete(target)
            for name in [n for n in self.nodes if n == source or n.startswith(f"{source}/")]:
                self.nodes[target + name[len(source) :]] = self.nodes.pop(name)
            return not exists

    def below(self, path: str) -> Iterator[tuple[str, Node]]:
        start = f"{path}/"
        for name, node in list(self.nodes.items()):
            if name.startswith(start) and "/" not in name[len(start) :]:
                yield name, node

    def propfind(self, path: str, base: str, depth: str, quota: int) -> bytes:
        """Return the 207 body of a node and, for any Depth but 0, its members."""
        node = self.find(path)
        rows = [(path, node)]
        if depth != "0" and node.content is None:
            rows += self.below(path)
        used = self.used()
        free = quota if quota < 0 else max(quota - used, 0)
        parts = [_row(base + name, each, free, used) for name, each in rows]
        return (
            '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" '
            'xmlns:oc="http://owncloud.org/ns">' + "".join(parts) + "</d:multistatus>"
        ).encode()


def _row(href: str, node: Node, free: int, used: int) -> str:
    date = formatdate(node.modified, usegmt=True)
    if node.content is None:
        shown = (
            "<d:resourcetype><d:collection/></d:resourcetype>"
            f"<d:quota-available-bytes>{free}</d:quota-available-bytes>"
            f"<d:quota-used-bytes>{used}</d:quota-used-bytes>"
        )
        missing = "<d:getcontentlength/>"
        href += "/"
    else:
        shown = (
            f"<d:resourcetype/><d:getcontentlength>{len(node.content)}</d:getcontentlength>"
            f"<d:getetag>{node.etag.replace(chr(34), '&quot;')}</d:getetag>"
        )
        missing = "<d:quota-available-bytes/><d:quota-used-bytes/>"
    return (
        f"<d:response><d:href>{quote(href)}</d:href>"
        f"<d:propstat><d:prop>{shown}<d:getlastmodified>{date}</d:getlastmodified></d:prop>"
        "<d:status>HTTP/1.1 200 OK</d:status></d:propstat>"
        f"<d:propstat><d:prop>{missing}</d:prop><d:status>HTTP/1.1 404 Not Found</d:status>"
        "</d:propstat></d:response>"
    )
