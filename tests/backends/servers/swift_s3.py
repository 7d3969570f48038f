"""OpenStack Swift with its s3api: proxy, account, container and object servers on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.backends.servers.running import free_port
from tests.servers import unavailable

ACCESS_KEY, SECRET_KEY = "pods:anna", "swift-secret-of-anna"
REGION = "us-east-1"

# Rings of one device and one copy; a quota, as s3api has no request that sets one.
_RINGS = """
import sys
from swift.common.ring import RingBuilder
folder, ports = sys.argv[1], [int(port) for port in sys.argv[2:]]
for kind, port in zip(("account", "container", "object"), ports):
    builder = RingBuilder(4, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1",
                     "weight": 1, "meta": "", "replication_ip": "127.0.0.1",
                     "replication_port": port})
    builder.rebalance()
    name = "object.ring.gz" if kind == "object" else f"{kind}.ring.gz"
    builder.get_ring().save(f"{folder}/{name}")
"""
_QUOTA = """
import http.client, sys, time
from swift.common import utils
folder, container, quota = sys.argv[1:]
utils.set_swift_dir(folder)
utils.validate_hash_conf()
from swift.common.ring import Ring
part, nodes = Ring(folder, ring_name="container").get_nodes("AUTH_pods", container)
connection = http.client.HTTPConnection(nodes[0]["ip"], nodes[0]["port"])
connection.request("POST", f"/d1/{part}/AUTH_pods/{container}", headers={
    "X-Timestamp": f"{time.time():.5f}", "X-Container-Meta-Quota-Bytes": quota})
assert connection.getresponse().status == 204
"""
_BACKEND = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {home}
devices = {home}/devices
mount_check = false
disable_fallocate = true
log_address = {home}/no-syslog
log_level = ERROR
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {home}
log_address = {home}/no-syslog
log_level = ERROR
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy container-quotas slo dlo versioned_writes symlink proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{no_port}
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
[filter:tempauth]
use = egg:swift#tempauth
user_pods_anna = swift-secret-of-anna .admin
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true
[filter:symlink]
use = egg:swift#symlink
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""


@dataclass
class Swift:
    """A running Swift: its S3 endpoint, its folder and its processes."""

    endpoint: str
    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def set_quota(self, bucket: str, size: int) -> None:
        """Let `bucket` hold at most `size` bytes."""
        _python(_QUOTA, str(self.home), bucket, str(size))

    def stop(self) -> None:
        """End all processes and remove the folder."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


def _python(program: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, capture_output=True)


def start_swift() -> Swift:
    """Start Swift with an account `pods` and its user anna; skips where it is not installed."""
    scripts = Path(sys.executable).parent
    if not (scripts / "swift-proxy-server").exists():
        unavailable("swift", "the package `swift` is not installed")
    home = Path(tempfile.mkdtemp(prefix="vt-swift-", dir="/tmp"))
    try:
        os.setxattr(home, "user.vaultd", b"x")  # Swift keeps objects' metadata there
    except OSError as error:
        shutil.rmtree(home)
        unavailable("swift", f"/tmp has no extended attributes ({error.strerror})")
    (home / "devices" / "d1").mkdir(parents=True)
    (home / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
    )
    proxy, account, container, objects, nobody = (free_port() for _ in range(5))
    _python(_RINGS, str(home), str(account), str(container), str(objects))
    swift = Swift(f"http://127.0.0.1:{proxy}", home)
    kinds = {"account": account, "container": container, "object": objects, "proxy": proxy}
    for kind, port in kinds.items():
        template = _PROXY if kind == "proxy" else _BACKEND
        config = home / f"{kind}.conf"
        config.write_text(template.format(port=port, home=home, kind=kind, no_port=nobody))
        with (home / f"{kind}.log").open("wb") as log:
            swift.processes.append(_server(scripts / f"swift-{kind}-server", config, log))
    for port in kinds.values():
        _wait(swift, port)
    return swift


def _server(script: Path, config: Path, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([script, config], stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _wait(swift: Swift, port: int) -> None:
    for _ in range(1800):
        if any(process.poll() is not None for process in swift.processes):
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    logs = "\n".join(log.read_text("utf-8", "replace")[-800:] for log in swift.home.glob("*.log"))
    swift.stop()
    raise RuntimeError(f"Swift did not start:\n{logs}")
