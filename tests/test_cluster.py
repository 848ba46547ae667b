"""The recipes of the guide for engines that spread work, run as they are written there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shared import correlated_table
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sktae import Autoencoder, AutoencoderEnsemble, StackedGridSearchCV, fit_many, load

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "scale.md"
ROWS = correlated_table(150, 6).astype(np.float32)
TABLE = pd.DataFrame(ROWS, columns=list("abcdef"))


def small(**params):
    return Autoencoder(**{"n_components": 2, "max_steps": 70, "random_state": 0, **params})


def block(word):
    """Return the block of the guide that has a word."""
    if not PAGE.exists():  # tests of a built package
        pytest.skip("the guide is not here")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    (text,) = (text for text in blocks if word in text)
    return text


def recipe(word):
    """Return the block of the guide that has a word, compiled."""
    return compile(block(word), str(PAGE), "exec")


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster


def test_arrow_batches():
    """Scores of a stream of record batches are those of the table."""
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    model = small().fit(TABLE)
    names = {"model": model, "table": TABLE}
    exec(recipe("pyarrow as pa"), names)
    np.testing.assert_array_equal(names["scores_of_stream"], model.score_samples(TABLE))


def test_dask_partitions():
    """Scores and codes by partitions are those of the table."""
    pytest.importorskip("dask.dataframe", reason="dask is not installed")
    model = small().fit(TABLE)
    scores, codes = model.score_samples(TABLE), model.transform(TABLE)
    names = {"model": model, "table": TABLE}
    exec(recipe("map_partitions"), names)
    np.testing.assert_array_equal(names["scores_of_frame"].compute(scheduler="sync"), scores)
    np.testing.assert_array_equal(names["scores_of_array"].compute(scheduler="sync"), scores)
    part = names["codes_of_frame"].compute(scheduler="sync")
    np.testing.assert_array_equal(part, codes)
    assert (part.dtypes == names["meta"].dtypes).all()


@pytest.mark.slow
@pytest.mark.parametrize("Search", [GridSearchCV, StackedGridSearchCV])
def test_searches_on_a_cluster(Search, cluster, monkeypatch):
    """A search has the same scores and the same model as with one job."""
    monkeypatch.setattr("sklearn.model_selection.GridSearchCV", Search)
    names = {"model": small(), "rows": ROWS, "cluster": cluster}
    exec(recipe("GridSearchCV"), names)
    search = names["search"]
    alone = Search(small(), search.param_grid, cv=2).fit(ROWS)
    column = "mean_test_score"
    np.testing.assert_array_equal(search.cv_results_[column], alone.cv_results_[column])
    np.testing.assert_array_equal(search.transform(ROWS), alone.transform(ROWS))


@pytest.mark.slow
def test_lists_of_models_on_a_cluster(cluster):
    """Stacks, and an ensemble, that are fitted elsewhere are those that are fitted here."""
    models = [small(random_state=seed) for seed in range(4)]
    names = {"models": list(map(clone, models)), "rows": ROWS, "cluster": cluster}
    exec(recipe("fit_many"), names)
    fitted = [model for part in names["fitted"] for model in part]
    for model, alone in zip(fitted, fit_many(models, [ROWS] * 4), strict=True):
        np.testing.assert_allclose(model.transform(ROWS), alone.transform(ROWS), atol=1e-3)
    with cluster.get_client() as client:
        ensemble = AutoencoderEnsemble(small(), n_estimators=2, random_state=0)
        elsewhere = client.submit(ensemble.fit, ROWS).result()
    alone = ensemble.fit(ROWS)
    np.testing.assert_array_equal(elsewhere.score_samples(ROWS), alone.score_samples(ROWS))


@pytest.mark.slow
def test_processes_of_accelerate(tmp_path):
    """A fit by two processes that Accelerate starts is that of one."""
    pytest.importorskip("accelerate", reason="accelerate is not installed")
    np.save(tmp_path / "rows.npy", ROWS)
    before = """
import numpy as np
from sktae import Autoencoder, DataParallelNet, save

X = np.load("rows.npy", mmap_mode="r")
model = Autoencoder(2, max_steps=70, batch_size=50, net=DataParallelNet(), random_state=0)
"""
    (tmp_path / "train.py").write_text(before + block("PartialState"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "train.py"]
    own = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, cwd=tmp_path, env=os.environ | own)
    found = load(tmp_path / "model.sktae").score_samples(ROWS)
    np.testing.assert_allclose(found, small(batch_size=50).fit(ROWS).score_samples(ROWS), rtol=1e-3)
