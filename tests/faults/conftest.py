"""`--seed N` plays one history again; what is marked `long` runs with `-m long` only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
# Read here, as tests start without the settings of this machine.
SEED = os.environ.get("VAULTD_SEED")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="play this history only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "long" in str(config.getoption("markexpr", "")):
        return
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("long") is not None:
            item.add_marker(pytest.mark.skip(reason="takes minutes; run with -m long"))


@pytest.fixture
def one_seed(request: pytest.FixtureRequest) -> int | None:
    """The seed that was asked for by `--seed` or VAULTD_SEED."""
    asked = request.config.getoption("--seed", None)
    if asked is not None:
        return int(asked)
    return None if SEED is None else int(SEED)
