"""S3 settings: what is refused at once, what is never shown, and what is not loaded early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.errors import UsageError


@pytest.mark.parametrize(
    "wrong",
    [
        {"bucket": ""}, {"bucket": "a/b"}, {"bucket": "x" * 300}, {"bucket": "arn:aws:s3:::x"},
        {"prefix": "a//b"}, {"prefix": "a/../b"}, {"prefix": "a b"}, {"prefix": "é"},
        {"prefix": "x" * 900}, {"endpoint": "s3.example.org"}, {"endpoint": "ftp://example.org"},
        {"endpoint": "https://"}, {"endpoint": "https://u:hunter2@example.org"},
        {"endpoint": "https://example.org/?token=hunter2"}, {"endpoint": "https://[::1"},
        {"endpoint": "https://example.org:99999999"},
        {"access_key": "AK"}, {"secret_key": "hunter2"}, {"session_token": "hunter2"},
        {"checksum": "md5"}, {"lock_mode": "legal", "lock_days": 3}, {"lock_mode": "governance"},
        {"lock_days": 3}, {"lock_mode": "compliance", "lock_days": 99_999},
        {"part_size": 1024}, {"part_size": 2**40}, {"connect_timeout": 0.0},
        {"read_timeout": -1.0}, {"max_pool": 0},
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        S3Settings(**{"bucket": "pods", **wrong})
    assert "hunter2" not in str(raised.value)


def test_secrets_are_not_shown() -> None:
    settings = S3Settings(
        "pods", endpoint="https://s3.example.org", access_key="AKID", secret_key="hunter2",
        session_token="token3",
    )  # fmt: skip
    backend = S3Backend(settings)
    for shown in (repr(settings), str(settings), repr(backend), settings.where):
        for secret in ("AKID", "hunter2", "token3"):
            assert secret not in shown
    assert repr(backend) == "S3Backend(s3://pods at https://s3.example.org)"


def test_a_prefix_has_no_slashes_around() -> None:
    assert S3Settings("pods", prefix="/a/b.c/").key("v/1") == "a/b.c/v/1"
    assert S3Settings("pods", prefix="/").key("v/1") == "v/1"


def test_boto3_is_not_loaded_before_the_first_request() -> None:
    program = (
        "import sys; from vaultd.backends.s3.backend import *; S3Backend(S3Settings('pods'));"
        "print([name for name in sys.modules if 'boto' in name or 'urllib3' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout == "[]\n"
