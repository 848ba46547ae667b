"""Data that the tests share."""

import gc
import os

# Two pytest workers on two cores: more threads would only wait for each other. Where a test asks
# for them, they sleep meanwhile: by default they spin, and keep the others from a busy core.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "passive"

import numpy as np
import pytest
import shared
from shared import correlated_table

from sktae._engine import net, stack, tiles

TILE = tiles.TILE


def pytest_addoption(parser):
    parser.addoption(
        "--long",
        action="store_true",
        help="run every combination of estimators and settings, with larger budgets",
    )
    parser.addoption(
        "--record",
        choices=["often", "never"],
        help="record every step, or none: all tests hold either way",
    )


def pytest_configure(config):
    """Choose the grids, the tiles, and the numbers from which recording repays itself."""
    shared.LONG = config.getoption("--long")
    if not shared.LONG:
        tiles.TILE = 256  # or most of the time would go into filling tiles for small tables
    if record := config.getoption("--record"):
        many = 0 if record == "often" else 10**9
        net.MANY_STEPS = stack.MANY_STEPS = tiles.MANY_TILES = many


def pytest_collection():
    """Keep the garbage collector from looking through modules and tests again and again."""
    gc.disable()


def pytest_collection_finish():
    """Nor shall it while tests run."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
def small_tiles(monkeypatch):
    """Compute few rows in small tiles from the first call."""
    monkeypatch.setattr(tiles, "FEW_CALLS", 0)


@pytest.fixture
def own_tiles(small_tiles, monkeypatch):
    """Score in tiles of the size that users get."""
    monkeypatch.setattr(tiles, "TILE", TILE)


@pytest.fixture(scope="session")
def X():
    return correlated_table()


@pytest.fixture(scope="session", params=["far away", "broken correlations"])
def labelled(request):
    """Rows of which some are outliers: far away, or each value in range but not together."""
    rng = np.random.default_rng(1)
    X = correlated_table(seed=1)
    outlier = np.zeros(len(X), dtype=bool)
    outlier[: len(X) // 20] = True
    if request.param == "far away":
        X[outlier] += 8 * X.std(axis=0) * rng.choice([-1, 1], size=X[outlier].shape)
    else:
        X[outlier] = np.column_stack([rng.permutation(column)[outlier] for column in X.T])
    return X, outlier
