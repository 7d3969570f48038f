"""The conformance suite on every backend there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backends.conformance import BackendConformance
from vaultd.backends.base import Backend
from vaultd.backends.folder import FolderBackend
from vaultd.backends.memory import MemoryBackend


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return MemoryBackend()


class TestFolder(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return FolderBackend(tmp_path / "vaults", create=True)

    @pytest.fixture(autouse=True)
    def _no_temporary_is_left(self, tmp_path: Path) -> object:
        yield
        assert [path for path in tmp_path.rglob("*") if path.name.startswith(".")] == []
