"""Ceph's RADOS Gateway: a monitor, a mgr, one OSD in memory and the gateway, on loopback.

The libs' notes: `auth = none` hangs the gateway, and without a mgr it does not start.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.backends.servers.running import free_port
from tests.backends.servers.swift_s3 import ACCESS_KEY, SECRET_KEY
from tests.servers import unavailable

_PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin")
_CAPS = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "mgr": "allow *", "osd": "allow *"},
    "mgr.x": {"mon": "allow profile mgr", "osd": "allow *"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "client.rgw": {"mon": "allow rw", "mgr": "allow rw", "osd": "allow rwx"},
}
_CONFIGURATION = """[global]
fsid = {cluster}
mon_host = {monitor}
public_addr = 127.0.0.1
keyring = {home}/keyring
run_dir = {home}
log_file = {home}/$name.log
admin_socket = {home}/$name.asok
mon_data = {home}/mon
mgr_data = {home}/mgr
osd_data = {home}/osd
osd_objectstore = memstore
memstore_device_bytes = 4294967296
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 2
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
osd_crush_initial_weight = 1
mon_allow_pool_size_one = true
mgr_initial_modules =
rgw_frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw_enable_usage_log = false
"""


@dataclass
class CephRgw:
    """A running gateway, its folder and its processes."""

    port: int
    home: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        """Its S3 endpoint, over plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, program: str, *arguments: str) -> None:
        """Start a daemon in the foreground."""
        with (self.home / f"{program}.out").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [program, "-c", str(self.home / "ceph.conf"), "-f", *arguments],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home,
                )
            )  # fmt: skip

    def run(self, program: str, *arguments: str) -> None:
        """Run a command of Ceph to its end; raises RuntimeError with what it said."""
        command = [program, "-c", str(self.home / "ceph.conf"), *arguments]
        done = subprocess.run(
            command, cwd=self.home, capture_output=True, check=False, timeout=120,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace")[-2000:]
            raise RuntimeError(f"{program} {arguments} failed:\n{said}")

    def stop(self) -> None:
        """End all processes, the gateway first, and remove the folder."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


def start_ceph_rgw() -> CephRgw:
    """Start it with the one user whose keys are Swift's too; takes about 20 seconds."""
    lacking = [name for name in _PROGRAMS if shutil.which(name) is None]
    if lacking:
        unavailable("ceph", f"there is no {', '.join(lacking)}")
    rgw = CephRgw(0, Path(tempfile.mkdtemp(prefix="vt-ceph-", dir="/tmp")))
    try:
        _start(rgw)
    except BaseException:
        rgw.stop()
        raise
    return rgw


def _start(rgw: CephRgw) -> None:
    home = rgw.home
    rgw.port, new, old = (free_port() for _ in range(3))
    monitor, cluster = f"[v2:127.0.0.1:{new},v1:127.0.0.1:{old}]", str(uuid.uuid4())
    (home / "ceph.conf").write_text(
        _CONFIGURATION.format(cluster=cluster, monitor=monitor, home=home, port=rgw.port)
    )
    for folder in ("mon", "mgr", "osd"):
        (home / folder).mkdir()
    keyring = str(home / "keyring")
    for name, caps in _CAPS.items():
        words = [word for service, cap in caps.items() for word in ("--cap", service, cap)]
        create = [] if Path(keyring).exists() else ["--create-keyring"]
        rgw.run("ceph-authtool", keyring, *create, "--gen-key", "-n", name, *words)
    monmap = str(home / "monmap")
    rgw.run("monmaptool", "--create", "--fsid", cluster, "--addv", "a", monitor, monmap)
    rgw.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
    rgw.start("ceph-mon", "-i", "a")
    rgw.start("ceph-mgr", "-i", "x")
    disk = str(uuid.uuid4())
    rgw.run("ceph", "osd", "create", disk)
    rgw.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
    rgw.start("ceph-osd", "-i", "0")
    rgw.run(
        "radosgw-admin", "-n", "client.rgw", "user", "create", "--uid=anna", "--display-name=Anna",
        f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}",
    )  # fmt: skip
    rgw.start("radosgw", "-n", "client.rgw")
    _wait(rgw)


def _wait(rgw: CephRgw) -> None:
    import http.client

    for _ in range(1800):
        if any(process.poll() is not None for process in rgw.processes):
            break
        connection = http.client.HTTPConnection("127.0.0.1", rgw.port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
        finally:
            connection.close()
    logs = "\n".join(log.read_text("utf-8", "replace")[-800:] for log in rgw.home.glob("*.out"))
    raise RuntimeError(f"Ceph did not start:\n{logs}")
