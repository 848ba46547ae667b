"""Sequences: panels, rows, lists of unequal length, missing values, tokens."""

import pickle
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from shared import lean, quick, unless_long
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch.nn import functional as F
from torch.utils.data import Dataset

from sktae import (
    Autoencoder,
    AutoregressiveAutoencoder,
    RecurrentAutoencoder,
    TransformerAutoencoder,
    all_estimators,
    fit_many,
)
from sktae.families.sequence import SequenceAutoencoder, SequenceMixin
from sktae.nn.convolution import _unfold

SEQUENTIAL = [E for E in all_estimators() if issubclass(E, SequenceMixin)]
OF_TOKENS = [E for E in SEQUENTIAL if issubclass(E, SequenceAutoencoder)]
every = pytest.mark.parametrize("E", SEQUENTIAL)
every_of_tokens = pytest.mark.parametrize("E", OF_TOKENS)

rng = np.random.default_rng(0)
PHASE = rng.uniform(0, 6, (150, 1))
ROWS = np.sin(PHASE + np.arange(24) / 3) + 0.05 * rng.normal(size=(150, 24))
PANEL = np.stack([ROWS, 5 * ROWS[:, ::-1] + 3], axis=2)
LENGTHS = rng.integers(8, 25, 150)
RAGGED = [sequence[:length] for sequence, length in zip(PANEL, LENGTHS, strict=True)]
TOKENS = (rng.integers(0, 5, (150, 1)) + np.arange(12)) % 5
PADDED = np.where(np.arange(12) < rng.integers(4, 13, (150, 1)), TOKENS, 99)

KINDS = {
    "rows": (ROWS, {}),
    "panel": (PANEL, {}),
    "ragged": (RAGGED, {}),
    "tokens": (TOKENS, {"n_tokens": "auto"}),
    "padded": (PADDED, {"n_tokens": 5, "padding_token": 99}),
}
every_kind = pytest.mark.parametrize(
    ("E", "kind"),
    [
        (E, kind)
        for E in SEQUENTIAL
        for kind, (_, params) in KINDS.items()
        if E in OF_TOKENS or "n_tokens" not in params
    ],
)


def some(data, rows):
    return [data[row] for row in rows] if isinstance(data, list) else data[rows]


@pytest.mark.usefixtures("small_tiles")
@every_kind
def test_contract(E, kind):
    """Whatever kind of sequence: shapes, finite scores, rows alone, determinism, pickles."""
    data, params = KINDS[kind]
    model = quick(E, n_components=3, max_steps=5, **params)
    codes = model.fit(data).transform(data)
    scores = model.score_samples(data)
    assert codes.shape == (150, 3)
    assert np.isfinite(codes).all()
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 4
    assert np.isfinite(model.score(data))
    assert set(model.predict(data)) <= {-1, 1}
    made = model.inverse_transform(codes)
    shape = {"rows": (24,), "panel": (24, 2), "ragged": (24, 2)}.get(kind, (12,))
    assert made.shape == (150, *shape)
    assert np.isfinite(made).all()
    order = np.random.default_rng(0).permutation(150)
    np.testing.assert_array_equal(model.score_samples(some(data, order)), scores[order])
    np.testing.assert_array_equal(model.transform(some(data, order[:1])), codes[order[:1]])
    for again in (clone(model).fit(data), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.score_samples(data), scores)
    assert model.reconstruction_error(data).shape == (150,)
    assert np.isfinite(model.reconstruction_error(data)).all()
    resumed = model.partial_fit(data).score_samples(data)
    assert not np.array_equal(resumed, scores)


@every_kind
def test_reasons_add_up(E, kind):
    """Contributions have a column for each number of a sequence, and add up to minus the score."""
    data, params = KINDS[kind]
    model = quick(E, **params).fit(data)
    reasons = model.explain(some(data, [0, 1, 2]))
    expected = -model.score_samples(some(data, [0, 1, 2]))
    np.testing.assert_allclose(reasons.sum(axis=1), expected, rtol=1e-9)
    if kind in ("panel", "ragged"):
        assert reasons.columns.names == ["step", "channel"]
        assert reasons.shape == (3, 48)


@every
def test_layouts_agree(E):
    """Rows that run through steps and channels are the panel, bit for bit."""
    panel = quick(E).fit(PANEL)
    flat = PANEL.reshape(150, -1)
    rows = quick(E, n_channels=2).fit(flat)
    np.testing.assert_array_equal(rows.score_samples(flat), panel.score_samples(PANEL))
    np.testing.assert_array_equal(rows.reconstruct(flat), panel.reconstruct(PANEL).reshape(150, -1))
    assert (panel.sequence_length_, panel.n_channels_) == (24, 2)
    assert (panel.n_features_in_, rows.n_features_in_) == (2, 48)


@every
def test_what_is_missing_counts_for_nothing(E):
    """Lists are panels filled up with NaN; what fills them up plays no part in the loss."""
    panel = np.full((150, 24, 2), np.nan)
    for filled, sequence in zip(panel, RAGGED, strict=True):
        filled[: len(sequence)] = sequence
    model = quick(E).fit(RAGGED)
    same = quick(E).fit(panel)
    np.testing.assert_array_equal(model.score_samples(RAGGED), same.score_samples(panel))
    shorter = [sequence[:8] for sequence in RAGGED]
    assert np.isfinite(model.score_samples(shorter)).all()
    made = model.reconstruct(RAGGED)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(panel))
    error = model.reconstruction_error(RAGGED, per_feature=True)
    np.testing.assert_allclose(np.nanmean(error, axis=(1, 2)), model.reconstruction_error(RAGGED))


@every_of_tokens
def test_padding_is_missing(E):
    """A padding token and NaN are the same."""
    model = quick(E, n_tokens=5, padding_token=99).fit(PADDED)
    holes = np.where(PADDED == 99, np.nan, PADDED)
    np.testing.assert_array_equal(model.score_samples(holes), model.score_samples(PADDED))
    assert model.n_tokens_ == 5


@every
def test_learns(E):
    """Sequences are told from their codes, new ones too."""
    model = lean(E, n_components=2, max_steps=250).fit(PANEL[:100])
    made = model.inverse_transform(model.transform(PANEL[100:]))
    rest = ((PANEL[100:] - made) ** 2).sum(axis=(0, 1))
    assert (rest < 0.2 * ((PANEL[100:] - PANEL.mean((0, 1))) ** 2).sum(axis=(0, 1))).all()


@every_of_tokens
def test_learns_tokens(E):
    """Tokens are told from their codes as well."""
    tokens = lean(E, n_components=4, max_steps=250, n_tokens=5).fit(TOKENS)
    assert (tokens.inverse_transform(tokens.transform(TOKENS)) == TOKENS).mean() > 0.9
    assert tokens.score(TOKENS) > -0.3


@every
def test_finds_broken_sequences(E):
    """A frequency that changes is found."""
    odd = ROWS[100:].copy()
    odd[:25] = np.sin(PHASE[100:125] + np.arange(24) / 1.5)
    model = lean(E, max_steps=unless_long(150, 500)).fit(ROWS[:100])
    assert roc_auc_score(np.arange(50) < 25, -model.score_samples(odd)) > 0.95


@every_of_tokens
def test_finds_broken_grammar(E):
    """A grammar that breaks and words never seen are found, and where."""
    broken = TOKENS[100:].copy()
    broken[:25, 6] = (broken[:25, 6] + 2) % 5
    broken[0, 6] = 7
    how = {"n_tokens": "auto", "max_steps": unless_long(150, 300)}
    grammar = lean(E, n_components=4, **how).fit(TOKENS[:100])
    assert roc_auc_score(np.arange(50) < 25, -grammar.score_samples(broken)) > 0.95
    reasons = grammar.explain(pd.DataFrame(broken[:25])).to_numpy()
    assert (abs(reasons.argmax(axis=1) - 6) <= 1).mean() > 0.8


@every
def test_searches_and_stacks(E):
    """Sequences go through pipelines, searches and stacks."""
    pipe, name = make_pipeline(quick(E, max_steps=5)), E.__name__.lower()
    search = GridSearchCV(pipe, {f"{name}__n_components": [1, 2]}, cv=2)
    assert np.isfinite(search.fit(PANEL).cv_results_["mean_test_score"]).all()
    models = fit_many([quick(E, random_state=seed) for seed in (0, 1)], [PANEL, PANEL])
    assert [model.training_path_ for model in models] == ["stacked"] * 2
    alone = quick(E, random_state=1).fit(PANEL)
    np.testing.assert_allclose(models[1].transform(PANEL), alone.transform(PANEL), atol=1e-3)


@every
def test_reads_datasets(E):
    """Sequences of a torch Dataset, read one by one or many at once, are those of an array."""

    class Sequences(Dataset):
        def __len__(self):
            return len(PANEL)

        def __getitem__(self, row):
            return PANEL[row]

    class Batched(Sequences):
        def __getitems__(self, rows):
            return PANEL[rows]

    expected = quick(E).fit(PANEL).score_samples(PANEL)
    for data in (Sequences(), Batched()):
        np.testing.assert_array_equal(quick(E).fit(data).score_samples(data), expected)


@pytest.mark.parametrize("kind", ["panel", "tokens"])
@pytest.mark.parametrize("E", [TransformerAutoencoder, AutoregressiveAutoencoder])
def test_samples_look_like_the_data(E, kind):
    """Sequences drawn step by step have the spread of the data, or keep to their grammar."""
    data, params = KINDS[kind]
    if E is TransformerAutoencoder:
        assert not hasattr(E(), "sample")
        params = {**params, "decoder": "autoregressive"}
    model = lean(E, n_components=3, max_steps=unless_long(200, 300), **params).fit(data)
    drawn = model.sample(100)
    assert drawn.shape == (100, *data.shape[1:])
    np.testing.assert_array_equal(drawn, model.sample(100))
    assert len(np.unique(drawn, axis=0)) > 4
    if kind == "tokens":
        assert (np.diff(drawn) % 5 == 1).mean() > 0.9
    else:
        assert (drawn.std(axis=(0, 1)) / data.std(axis=(0, 1)) > 0.6).all()
        assert (drawn.std(axis=(0, 1)) / data.std(axis=(0, 1)) < 1.6).all()


@pytest.mark.parametrize("E", [RecurrentAutoencoder, AutoregressiveAutoencoder])
def test_sequences_stop_at_their_end_token(E):
    """What is decoded, reconstructed or sampled is missing after the end; the rest is the same."""
    tokens = np.where(np.arange(12) < LENGTHS[:, np.newaxis] - 8, TOKENS, 5)
    plain, ending = (quick(E, n_tokens=6, end_token=end).fit(tokens) for end in (None, 5))
    codes = plain.transform(tokens)
    pairs = [[model.inverse_transform(codes) for model in (plain, ending)]]
    pairs += [[model.reconstruct(tokens) for model in (plain, ending)]]
    if hasattr(plain, "sample"):
        pairs += [[model.sample(20) for model in (plain, ending)]]
    for whole, cut in pairs:
        ended = np.cumsum(whole == 5, axis=1) - (whole == 5) > 0
        assert 0.1 < ended.mean() < 1
        np.testing.assert_array_equal(cut, np.where(ended, np.nan, whole))
    np.testing.assert_array_equal(plain.score_samples(tokens), ending.score_samples(tokens))


def test_decoded_variance_is_the_score():
    """What the history says of decoded sequences is their score; it is finite if they grow."""
    model = quick(AutoregressiveAutoencoder, order=4).fit(ROWS)
    figure = model.history_["decoded_variance"].iloc[-1]
    np.testing.assert_allclose(figure, model.score(ROWS), atol=1e-3)
    with torch.no_grad():
        model.net_.module_.recursion[0].weight.mul_(1e6)
    assert -np.inf < model.score(ROWS) < -1e6
    assert np.isfinite(model.reconstruct(ROWS)).all()
    tokens = quick(AutoregressiveAutoencoder, n_tokens="auto").fit(TOKENS)
    assert "decoded_variance" not in tokens.history_


def test_budget_of_tokens():
    """Transformers take fewer steps for tokens, if the code is wide, than for numbers."""
    small = {"hidden_layer_sizes": (4,), "n_heads": 1}
    steps = [
        lean(TransformerAutoencoder, n_components=size, n_tokens=n_tokens, **small)
        .fit(TOKENS[:20])
        .n_iter_
        for size, n_tokens in ((12, 5), (12, None), (2, 5))
    ]
    assert steps == [300, 500, 120]


def test_tokens_that_are_certain_have_reasons_too():
    """Where every token was foreseen, its share of the anomaly is still a number."""
    model = quick(AutoregressiveAutoencoder, n_tokens="auto", max_steps=500, learning_rate=0.1)
    reasons = model.fit(TOKENS).explain(TOKENS)
    assert np.isfinite(reasons).all(axis=None)
    np.testing.assert_allclose(reasons.sum(axis=1), -model.score_samples(TOKENS), rtol=1e-9)


class Ordered(Dataset):
    """Windows in the order of time."""

    def __init__(self, rows, gap):
        self.rows, self.gap = rows, gap

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row]


def test_windows_are_held_out_in_one_piece():
    """Of overlapping windows, the last are held out, and those that overlap them left out."""
    rows = np.column_stack([np.arange(100.0), rng.normal(size=100)])
    data = Ordered(rows, gap=10)
    model = quick(calibration=0.2).fit(data)
    np.testing.assert_allclose(model._inputs.mean[0], np.arange(70).mean())
    assert len(model.calibration_scores_) == 20
    stopped = quick(early_stopping=True, validation_fraction=0.1).fit(data)
    assert "valid_loss" in stopped.history_
    with pytest.raises(ValueError, match=r"validation_fraction=0.1 leaves no row of n_samples=100"):
        quick(early_stopping=True).fit(Ordered(rows, gap=95))


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (ROWS, {"n_channels": 5}, "rows of 24 values, which n_channels=5"),
        (PANEL, {"n_tokens": 5}, "Sequences of tokens have one channel, but X has 2"),
        (ROWS, {"n_tokens": 5}, "Tokens must be integers from 0 on, but X holds"),
        (TOKENS, {"n_tokens": 3}, "X holds the token 4, but n_tokens=3 allows for 0 to 2"),
        (
            [["go", "stop"], ["go"]],
            {"n_tokens": 3},
            "X holds the word 'go', but TransformerAutoencoder takes num",
        ),
        (np.array([["go", "stop"]] * 9), {}, "Number words by Vocabulary, as in make_pipeline"),
        (pd.Series(["go stop"] * 9), {"n_tokens": "auto"}, "X holds the word 'go stop', but"),
        (pd.DataFrame({"x": [1, 2], "y": ["go", "stop"]}), {}, "X holds the word 'go', but"),
        ("go stop", {}, "X holds the word 'go stop', but"),
        (ROWS, {"end_token": 3}, "end_token=3 is for sequences of tokens; set n_tokens"),
        (TOKENS, {"n_tokens": 5, "end_token": 5}, "end_token=5 is no token of X; these are 0 to 4"),
        (np.full((3, 4), np.nan), {}, "Row 0 of X has no values, only NaN"),
        (np.full((3, 4), np.inf), {}, "infinity"),
        ([np.ones((3, 2)), np.ones((4, 1))], {}, r"different numbers of channels: \[1, 2\]"),
        (ROWS, {"hidden_layer_sizes": ()}, "non-empty sequence of ints"),
        (ROWS, {"mask": np.eye(3)}, r"mask has shape \(3, 3\), but attention is between 12"),
        (PANEL, {"along": "channels", "decoder": "autoregressive"}, "needs numbers, n_tokens"),
    ],
)
def test_refuses(X, params, message):
    """What cannot be meant is refused, in a sentence."""
    with pytest.raises(ValueError, match=message):
        quick(TransformerAutoencoder, **params).fit(X)


def test_estimators_of_tables_point_to_those_of_sequences():
    """A panel is not for them, and they say what is."""
    with pytest.raises(ValueError, match=r"dim 3, but Autoencoder takes rows.*Transformer"):
        quick().fit(PANEL)


def test_refuses_other_sequences_than_those_of_the_fit():
    """Longer sequences, other channels and other layouts are refused; shorter ones are not."""
    model = quick(RecurrentAutoencoder).fit(PANEL)
    assert model.transform(PANEL[:, :7]).shape == (150, 64)
    with pytest.raises(ValueError, match="up to 48 steps, but RecurrentAutoencoder was fitted"):
        model.transform(np.hstack([PANEL, PANEL]))
    with pytest.raises(ValueError, match="X has 1 features, but RecurrentAutoencoder"):
        model.transform(PANEL[:, :, :1])
    with pytest.raises(ValueError, match=r"put a single one into a list, \[X\]"):
        model.transform(PANEL[0])
    rows = quick(RecurrentAutoencoder).fit(ROWS)
    with pytest.raises(ValueError, match="X has 2 channels, but RecurrentAutoencoder"):
        rows.transform(PANEL)


def test_sequences_of_one_channel_are_rows():
    """They may come as either, as in the fit; with sequence_length, longer ones may come later."""
    shorter = [row[:length] for row, length in zip(ROWS, LENGTHS, strict=True)]
    rows = quick(RecurrentAutoencoder).fit(ROWS)
    panel = quick(RecurrentAutoencoder).fit(ROWS[:, :, np.newaxis])
    expected = rows.transform(ROWS)
    for model in (rows, panel):
        np.testing.assert_array_equal(model.transform(ROWS), expected)
        np.testing.assert_array_equal(model.transform(ROWS[:, :, np.newaxis]), expected)
        np.testing.assert_array_equal(model.transform(shorter), rows.transform(shorter))
    longest = quick(RecurrentAutoencoder, sequence_length=30).fit(shorter)
    assert longest.sequence_length_ == 30
    assert (
        longest.inverse_transform(longest.transform(np.hstack([ROWS, ROWS])[:, :30])).shape[1] == 30
    )
    with pytest.raises(ValueError, match="sequences of 24 steps, but sequence_length=20"):
        quick(RecurrentAutoencoder, sequence_length=20).fit(PANEL)


def test_graph_of_channels():
    """Along channels, one that no edge leads to is no help to the others."""
    quiet = PANEL.copy()
    quiet[:, :, 1] = rng.normal(size=(150, 24))
    model = TransformerAutoencoder(
        along="channels", mask=np.eye(2), bottleneck="steps", max_steps=5, random_state=0
    ).fit(PANEL)
    changed = model.reconstruct(quiet)
    np.testing.assert_array_equal(changed[..., 0], model.reconstruct(PANEL)[..., 0])


def test_linear_recursion_of_order_one_step_is_the_code_alone():
    """An order as long as the sequence leaves nothing to predict: a linear decoder of the code."""
    model = AutoregressiveAutoencoder(2, order=24, hidden_layer_sizes=(), max_steps=1500)
    linear = Autoencoder(2, hidden_layer_sizes=(), activation="identity", max_steps=1500)
    how = {"learning_rate": 0.02, "calibration": None, "random_state": 0}
    scores = [m.set_params(**how).fit(ROWS) for m in (model, linear)]
    np.testing.assert_allclose(scores[0].score(ROWS), scores[1].score(ROWS), atol=0.01)


def test_the_shape_of_a_code():
    """A code has the shape that is told; with one for each patch, each is at its own place."""
    for E in SEQUENTIAL:
        model = quick(E, max_steps=1).fit(PANEL)
        assert model.transform(PANEL).shape == (len(PANEL), *model.code_shape_)
    settings = {"bottleneck": "steps", "patch_size": 4, "attention": "causal", "max_steps": 1}
    model = quick(TransformerAutoencoder, n_components=3, **settings).fit(PANEL)
    assert model.code_shape_ == (6, 3)
    later = PANEL.copy()
    later[:, 12:] += 1  # from the fourth patch on
    before, after = (model.transform(X).reshape(-1, *model.code_shape_) for X in (PANEL, later))
    np.testing.assert_allclose(after[:, :3], before[:, :3], atol=1e-6)
    assert (after[:, 3:] != before[:, 3:]).any(axis=(0, 2)).all()
    channels = clone(model).set_params(along="channels", attention="full").fit(PANEL)
    assert channels.code_shape_ == (2, 3)


@pytest.mark.parametrize("steps", [1, 2, 15])
def test_convolutions_are_those_of_torch(steps):
    """Also where a kernel reaches beyond both ends of a sequence."""
    for kernel_size, dilation in product((1, 2, 3, 4), (1, 2, 16)):
        h, weight = torch.randn(3, steps, 4), torch.randn(6, 4, kernel_size)
        before = (kernel_size - 1) // 2 * dilation
        padded = F.pad(h.mT, (before, (kernel_size - 1) * dilation - before))
        expected = F.conv1d(padded, weight, dilation=dilation).mT
        found = _unfold(h, kernel_size, dilation) @ weight.permute(2, 1, 0).flatten(0, 1)
        torch.testing.assert_close(found, expected)
