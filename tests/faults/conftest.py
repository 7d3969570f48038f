"""`--seed N` plays one history again."""

from __future__ import annotations

import os

import pytest

# Read here, as tests start without the settings of this machine.
SEED = os.environ.get("VAULTD_SEED")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="play this history only")


@pytest.fixture
def one_seed(request: pytest.FixtureRequest) -> int | None:
    """The seed that was asked for by `--seed` or VAULTD_SEED."""
    asked = request.config.getoption("--seed", None)
    if asked is not None:
        return int(asked)
    return None if SEED is None else int(SEED)
