"""A long process takes no more memory than a short one, and workers share the cores."""

import os
import sys

import joblib
import numpy as np
import pytest
import torch
from shared import LONG, correlated_table
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from sktae import Autoencoder, AutoencoderEnsemble

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LONG, reason="takes minutes or starts processes: with --long"),
]


def megabytes():
    """Return the memory that this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_does_not_grow():
    """Nothing of a fit, its recorded steps or a score stays."""
    X, held = correlated_table(200, 6), {}
    for n in range(1, 301):
        model = Autoencoder(hidden_layer_sizes=(8,), max_steps=70, random_state=n).fit(X)
        held[n] = megabytes()
    assert model.training_path_ == "traced"
    assert held[300] - held[50] < 4, held
    for _ in range(10_000):
        model.score_samples(X[:1])
    assert megabytes() - held[300] < 4


def threads(model, X, y=None):
    """Return the most threads of any library, here in a worker."""
    return max(torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info()))


def test_workers_share_the_cores(monkeypatch):
    """In two processes, torch and NumPy have half of the cores each."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    ensemble = AutoencoderEnsemble(Autoencoder(max_steps=3), n_estimators=2, random_state=0)
    grid = {"aggregation": ["mean", "max"]}
    search = GridSearchCV(ensemble, grid, cv=2, n_jobs=2, scoring=threads, refit=False)
    most = np.max(search.fit(correlated_table(60, 4)).cv_results_["mean_test_score"])
    assert most <= max(1, joblib.cpu_count() // 2)
