"""Exported graphs compute what their estimators do."""

import logging
import os
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from shared import correlated_table, every, families, in_turn, quick, unless_long
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from sktae import (
    Autoencoder,
    AutoencoderEnsemble,
    AutoencoderImputer,
    AutoregressiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    TransformerAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    VisionTransformerAutoencoder,
    WindowedDetector,
    to_onnx,
)
from sktae._onnx.export import _graph_of, count_at_most
from sktae.nn import missing
from sktae.nn.layers import Coded, EncoderDecoder

OUTPUTS = ["code", "reconstruction", "scores", "labels", "p_values"]


TABLE = correlated_table(240, 6)


@pytest.fixture
def X():
    return TABLE[:200].copy()


@pytest.fixture
def new():
    """New normal rows, far outliers, and rows that lack values."""
    normal = TABLE[200:]
    rows = np.concatenate([normal, 30 * normal[:5], 1e9 * normal[:3], normal[:5]])
    rows[-5:, 1] = rows[-1, 3:] = np.nan
    return rows


def check(given, estimator, table):
    """Check that outputs equal the results of an estimator for the rows of a table."""
    methods = ["transform", "reconstruct", "score_samples", "predict", "p_values"]
    detector = estimator[-1] if hasattr(estimator, "steps") else estimator
    assert list(given) == OUTPUTS[: 4 + (detector.calibration_scores_ is not None)]
    for name, method in zip(given, methods, strict=False):
        if hasattr(estimator, method):
            expected = np.asarray(getattr(estimator, method)(table), dtype=float)
            # Sums within a row are rounded in proportion to its largest number. Tails are steep
            # where training rows lie close together, so the rounding of a measure may grow there.
            size = np.nanmax(np.abs(expected.reshape(len(expected), -1)), axis=1).clip(1)
            found = np.asarray(given[name], dtype=float)
            np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
            far = np.abs(found - expected).reshape(len(expected), -1)
            far = np.nanmax(far, axis=1) / size
            assert far.max() < (2e-4 if name == "scores" else 1e-5), (name, far)
            assert np.median(far) < 1e-5


def check_graph(estimator, rows, table=None):
    """Check the graph of an estimator before it is exported, which takes no time."""
    graph, shape = _graph_of(estimator)
    assert shape == rows.shape[1:]
    with torch.no_grad():
        outputs = graph.eval()(torch.from_numpy(rows))
    check(dict(zip(graph.names, outputs, strict=True)), estimator, rows if table is None else table)


def run(path, X):
    """Return the outputs of a file of ONNX for rows, by name."""
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    session = runtime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def calibrated(E, **params):
    return quick(E, calibration=0.2, **params)


@pytest.mark.parametrize("E", unless_long([DenoisingAutoencoder], families()))
def test_files_equal_their_estimators(E, X, new, tmp_path, monkeypatch):
    """All results, of normal rows, far outliers and incomplete rows, in batches of any size."""
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    monkeypatch.setattr(missing, "_SOLVER_STEPS", 1)  # of both, since exports take long
    # With few slots, no row is as near to one code as to another one.
    slots = {"n_slots": 2} if E is VectorQuantizedAutoencoder else {}
    model = calibrated(E, **slots).fit(X)
    notes, log = [], logging.getLogger("torch.onnx._internal.exporter._registration")
    monkeypatch.setattr(log, "handle", lambda record: log.filter(record) and notes.append(record))
    to_onnx(model, tmp_path / "model.onnx")
    assert not notes  # such as that there is no torchvision
    for rows in (new, new[:1]):
        check(run(tmp_path / "model.onnx", rows), model, rows)


@every
def test_graphs_equal_their_estimators(E, X, new):
    """What is exported is what the estimator computes, for each of them."""
    check_graph(calibrated(E).fit(X), new)


@in_turn(
    method=["residual", "distance", "combined", "error", "elbo"],
    training_data=["clean", "contaminated", "unknown"],
)
def test_every_deterministic_score(method, training_data, X, new):
    """Scores are those of score_method, whatever is known about the training rows."""
    model = quick(VariationalAutoencoder if method == "elbo" else Autoencoder)
    model.set_params(score_method=method, training_data=training_data)
    check_graph(model.fit(X), new)


def test_known_outliers(X, new):
    check_graph(quick(use_labels=True).fit(X, np.repeat([0, -1], [190, 10])), new)


def test_tables_as_they_are():
    """Columns that lack values, booleans, and categories that are numbers."""
    X = correlated_table(240, 4)
    X[::7, 0] = np.nan
    table = pd.DataFrame(X).assign(c=np.arange(240) % 3 * 5, b=X[:, 2] > 0)
    table = table.rename(columns=str)
    model, new = quick(categorical_features=["c"]).fit(table[:200]), table[200:]
    new.iloc[3, 4] = 7  # no category of the fit
    check_graph(model, new.to_numpy(dtype=float), new)
    with pytest.raises(ValueError, match="Column 'c' of X holds categories such as 'x'"):
        check_graph(quick().fit(pd.DataFrame({"c": ["x", "y"] * 9, "d": 1.0})), np.zeros((2, 2)))


def test_panels_and_tokens():
    """Sequences end in NaN, a padding or an end token, and their reconstructions in NaN."""
    panel = correlated_table(100, 8).reshape(100, 4, 2)
    panel[::3, 3] = np.nan
    model = quick(TransformerAutoencoder, hidden_layer_sizes=(8,)).fit(panel[:80])
    check_graph(model, panel[80:])
    tokens = np.random.default_rng(0).integers(0, 4, (60, 6)).astype(float)
    tokens[::3, 4:] = 9
    for E in (TransformerAutoencoder, AutoregressiveAutoencoder):
        # Tails of sequences that occur twice have steps, on which rounding would decide.
        model = quick(E, hidden_layer_sizes=(8,), n_tokens=4, padding_token=9, score_method="error")
        check_graph(model.fit(tokens), tokens)
    check_graph(model.set_params(end_token=2).fit(tokens), tokens)
    assert np.isnan(model.reconstruct(tokens)).any()
    distinct = np.array(np.meshgrid(*[range(4)] * 4)).reshape(4, -1).T.astype(float)
    check_graph(quick(E, hidden_layer_sizes=(8,), n_tokens=4).fit(distinct), distinct)


def test_images_and_indices(X, new):
    """Images of bytes, images that lack patches, and codes that are numbers of codebook rows."""
    images = np.random.default_rng(0).integers(0, 256, (60, 2, 5, 4)).astype(np.uint8)
    model = quick(ConvolutionalAutoencoder).fit(images[:40])
    check_graph(model, images[40:].astype(float), images[40:])
    holes = images.astype(float)
    holes[::2, :, :4, :2] = np.nan
    model = quick(VisionTransformerAutoencoder, noise="masking", patch_size=2).fit(holes[:40])
    check_graph(model, holes[40:])
    check_graph(quick(VectorQuantizedAutoencoder, codes="indices").fit(X), new)


@pytest.mark.parametrize("aggregation", ["mean", "max", "median"])
def test_ensembles(aggregation, X, new):
    """Members with columns of their own, of which a row may lack all."""
    ensemble = AutoencoderEnsemble(quick(), n_estimators=4, max_features=0.5, random_state=0)
    ensemble.set_params(aggregation=aggregation, calibration=0.2)
    check_graph(ensemble.fit(X), new)


def test_pipelines(X, new):
    """Steps before the detector belong to the graph; reconstructions are in the units of X."""
    steps = [
        "passthrough",
        SimpleImputer(strategy="median"),
        MinMaxScaler(clip=True),
        StandardScaler(with_mean=False),
        RobustScaler(),
        PCA(4, whiten=True),
        MaxAbsScaler(),
    ]
    pipeline = make_pipeline(*steps, calibrated(Autoencoder)).fit(X)
    check_graph(pipeline, new)
    pipeline = make_pipeline(SimpleImputer(missing_values=-1), *steps[2:-2], quick()).fit(X)
    rows = new[:40].copy()
    rows[::5, 2] = -1
    check_graph(pipeline, rows)
    pipeline = make_pipeline(*steps[3:], quick()).fit(X)
    recon = _graph_of(pipeline)[0](torch.from_numpy(X))[1]
    expected = pipeline.inverse_transform(pipeline.transform(X))
    np.testing.assert_allclose(recon.detach(), expected, rtol=1e-5, atol=1e-5)


class Counting(Autoencoder):
    """An autoencoder whose network depends on the number of rows as Python sees it."""

    def network(self, spec):
        class Network(EncoderDecoder):
            def forward(self, x):
                return Coded(self.decode(self.encode(x)).reshape(len(x), -1), self.encode(x))

        return Network(*spec.shape, spec.n_components, spec.widths, self.activation)


class Reading(Autoencoder):
    """An autoencoder whose network reads a number."""

    def network(self, spec):
        class Network(EncoderDecoder):
            def forward(self, x):
                code = self.encode(x) * float(x[0, 0] >= -torch.inf)
                return Coded(self.decode(code), code)

        return Network(*spec.shape, spec.n_components, spec.widths, self.activation)


class Lacking(Autoencoder):
    """An autoencoder whose network uses an operator that ONNX has not."""

    def network(self, spec):
        class Network(EncoderDecoder):
            def forward(self, x):
                code = self.encode(x)
                return Coded(self.decode(torch.lgamma(1 + code.square())), code)

        return Network(*spec.shape, spec.n_components, spec.widths, self.activation)


def test_refusals(X, tmp_path):
    """What has no export says so in a sentence, and leaves no file."""
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    changed = quick().fit(X).set_params(score_method="error")
    sampled = quick(VariationalAutoencoder, score_method="importance")
    search = GridSearchCV(quick(), {"n_components": [2]}, cv=2)
    imputer = make_pipeline(SimpleImputer(add_indicator=True), quick())
    lacking = X.copy()
    lacking[0, 0] = np.nan
    for estimator, message in [
        (WindowedDetector(), "WindowedDetector has no export to ONNX, but autoencoders,"),
        (StandardScaler(), "StandardScaler has no export to ONNX, but autoencoders,"),
        (search.fit(X), "Export the best_estimator_ of GridSearchCV"),
        (AutoencoderImputer(quick()).fit(X), "Export the estimator_ of AutoencoderImputer"),
        (quick(), "This Autoencoder instance is not fitted yet"),
        (changed, "score_method of Autoencoder is 'error' now, but offset_ is a threshold for"),
        (sampled.fit(X), "score_method='importance' of VariationalAutoencoder has no export"),
        (
            make_pipeline(QuantileTransformer(n_quantiles=9), quick()).fit(X),
            "The step 'quantiletransformer' of the pipeline, QuantileTransformer, has no export",
        ),
        (imputer.fit(lacking), "The step 'simpleimputer' of the pipeline, SimpleImputer, has no"),
        (quick(Counting).fit(X), "Counting has no export to ONNX, since torch cannot trace its"),
        (quick(Lacking).fit(X), "network uses the operator 'lgamma' of torch, which ONNX lacks"),
        (quick(Reading).fit(X), "Reading has no export to ONNX, since torch cannot trace its"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            to_onnx(estimator, tmp_path / "model.onnx")
    assert not os.listdir(tmp_path)


def test_missing_packages(X, tmp_path, monkeypatch):
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=re.escape("pip install sktae[onnx]")):
        to_onnx(quick().fit(X), tmp_path / "model.onnx")


@pytest.mark.parametrize("m", [1, 2, 5, 8])
def test_searches_are_those_of_numpy(m):
    """The binary search of p-values counts ties, and values beyond both ends."""
    ascending, values = np.arange(m) / 2, np.linspace(-1, 5, 25)
    given = count_at_most(torch.from_numpy(ascending), torch.from_numpy(values))
    np.testing.assert_array_equal(given, np.searchsorted(ascending, values, side="right"))
