"""`MaskedAutoencoder`: bins of columns, predictions of masked ones, what scores make of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from shared import quick

from sktae import Autoencoder, MaskedAutoencoder
from sktae.nn.bins import Bins


@pytest.fixture(scope="module")
def pairs():
    """Return columns of which each is nearly equal to one other, and one that is not."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(600, 3))
    noise = 0.1 * rng.normal(size=half.shape)
    return np.hstack([half, half + noise, rng.normal(size=(600, 1))])


@pytest.fixture(scope="module")
def model(pairs):
    return MaskedAutoencoder(calibration=None, random_state=0).fit(pairs)


def learned(columns, n_bins):
    x = torch.from_numpy(np.asarray(columns, np.float32)).reshape(-1, 1)
    bins = Bins(1, n_bins)
    return bins, bins.learn(x)[0].exp(), x


def place(bins, value):
    """Return the bin in which a value is, the one with the logit that makes it certain."""
    logits = 100 * torch.eye(bins.means.shape[1])[:, None]
    return bins.nll(logits, torch.full((len(logits), 1), float(value))).argmin().item()


def test_bins_hold_equal_shares():
    """There are as many values in each bin but the outer two, which have one each."""
    bins, shares, x = learned(np.random.default_rng(0).normal(size=1002), 8)
    assert bins.edges.diff(dim=1).gt(0).all()
    counts = torch.bincount(torch.tensor([place(bins, v) for v in x]))
    assert counts.tolist() == [1, *[125] * 8, 1]
    np.testing.assert_allclose(shares, (counts + 0.5) / (1002 + 5), rtol=1e-5)
    for i, mean in enumerate(bins.means[0]):
        own = [v for v in x[:, 0] if place(bins, v) == i]
        np.testing.assert_allclose(mean, np.mean(own), rtol=1e-4)
    assert place(bins, -1e6) == 0
    assert place(bins, 1e6) == 9


def test_few_values_have_a_bin_each():
    """Values between them are in the bin of the nearest."""
    bins, shares, _ = learned([0, 0, 0, 1, 1, 1, 1, 5, 5, 5], 8)
    assert [place(bins, v) for v in (0, 0.4, 0.6, 1, 2.9, 3.1, 5)] == [1, 1, 2, 2, 2, 3, 3]
    assert [place(bins, v) for v in (-0.1, 5.1)] == [0, 4]
    assert shares.argmax() == 2
    assert bins.means[0, 1:4].tolist() == [0, 1, 5]


def test_levels_say_where_a_value_is():
    """They grow with the value, from -1 to 1, and stay so beyond the outer edges."""
    bins, _, x = learned(np.random.default_rng(0).exponential(size=100), 4)
    values = torch.sort(x, dim=0).values
    levels = bins.levels(torch.cat([torch.tensor([[-1e9]]), values, torch.tensor([[1e9]])]))[:, 0]
    assert levels.diff(dim=0).ge(0).all()
    assert levels[0].eq(-1).all()
    assert levels[-1].eq(1).all()
    assert torch.unique(levels, dim=0).shape[0] >= 99


@pytest.mark.parametrize("column", [np.ones(5), np.full(5, np.nan), np.array([2.0]), np.zeros(2)])
def test_bins_of_hardly_anything(column):
    """Columns without variation, or values, have a finite mean and levels."""
    bins, shares, x = learned(column, 4)
    assert bins.mean(shares.log()[None, None]).isfinite().all()
    assert bins.levels(x.nan_to_num(7.0)).isfinite().all()
    assert shares[0] == shares.max()
    assert place(bins, -9) == place(bins, 9)


def test_a_place_that_no_row_has_is_unlikely():
    """That of a new category is constant in training; other constant columns tell nothing."""
    bins, x = Bins(2, 4), torch.full((100, 2), -0.3)
    shares = bins.learn(x, torch.tensor([True, False]))
    usual, other = (bins.nll(shares.expand(1, -1, -1), rows)[0] for rows in (x[:1], x[:1] + 2))
    np.testing.assert_allclose(usual, 0, atol=0.05)
    assert other[0] > 4
    assert other[1] == usual[1]
    torch.testing.assert_close(bins.mean(shares[None]), x[:1])


def test_groups_are_predicted_without_themselves(model, pairs):
    """What a group's columns hold does not change what is expected of them."""
    network = model.net_.module_
    x = torch.from_numpy(pairs[:5].astype(np.float32))
    x[0, 1] = torch.nan
    out = network(x)
    for group in network.groups:
        masked = x.clone()
        masked[:, group] = torch.nan
        alone = network.decode(network(masked).code)
        torch.testing.assert_close(alone[:, group], out.expected[:, group], rtol=1e-4, atol=1e-4)
    assert sorted(np.concatenate(network.groups)) == list(range(7))


def test_columns_are_predicted_from_others(model, pairs):
    """Of a column that others determine, most of the variance is explained; of noise, none."""
    rng = np.random.default_rng(1)
    half = rng.normal(size=(200, 3))
    X = np.hstack([half, half, rng.normal(size=(200, 1))])
    x = model._inputs.to_tensor(torch.from_numpy(X))
    residual = (x - model.net_.module_(x).expected).detach().numpy()
    explained = 1 - residual.var(axis=0) / x.numpy().var(axis=0)
    assert (explained[:6] > 0.8).all()
    assert explained[6] < 0.05


def test_scores_find_what_breaks_a_dependency(model, pairs):
    """A value that is common, but not with these others, is unusual, and the reason is given."""
    rows = np.repeat(np.median(pairs, axis=0)[np.newaxis], 2, axis=0)
    rows[:, [1, 4]] = [[1.5, 1.5], [1.5, -1.5]]
    usual, unusual = model.score_samples(rows)
    assert unusual < 4 * usual
    assert set(model.explain(rows).iloc[1].nlargest(2).index) == {"x1", "x4"}


def test_missing_values_are_masked_ones(model, pairs):
    """A fit on complete rows fills gaps in from other columns, as one on incomplete rows does."""
    gaps = pairs.copy()
    gaps[::2, 1] = np.nan
    for fitted in (model, MaskedAutoencoder(calibration=None, random_state=0).fit(gaps)):
        error = fitted.impute(gaps)[::2, 1] - pairs[::2, 1]
        assert np.square(error).mean() < 0.2
        assert np.isfinite(fitted.score_samples(gaps)).all()


def test_likelihoods_count_unless_rows_are_contaminated(pairs):
    """Scores measure them for models that have one."""
    weights = {
        (E, data): quick(E, training_data=data).fit(pairs).outlier_model_.weights
        for E in (Autoencoder, MaskedAutoencoder)
        for data in ("unknown", "clean", "contaminated")
    }
    having = {key for key, own in weights.items() if "likelihood" in own}
    assert having == {(MaskedAutoencoder, "unknown"), (MaskedAutoencoder, "clean")}


def test_shares_of_masked_columns_do_not_change_the_loss():
    """However many columns of a row are masked, these together count alike."""
    x, nll = torch.zeros(3, 4), torch.ones(3, 4)
    masked = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]]) > 0
    out = MaskedAutoencoder.objective(x, type("Out", (), {"nll": nll, "masked": masked}))
    loss = out["reconstruction"].sum(1)
    torch.testing.assert_close(loss[0], loss[1])
    assert loss[1] > loss[2] > 0


@pytest.mark.parametrize(
    "settings", [{"n_groups": 50}, {"n_groups": 1}, {"hidden_layer_sizes": ()}]
)
@pytest.mark.parametrize("n_columns", [1, 5])
def test_any_number_of_groups_and_columns(settings, n_columns):
    """There are no more groups than columns; one group means that nothing is known of a row."""
    X = np.random.default_rng(0).normal(size=(50, n_columns))
    model = quick(MaskedAutoencoder, **settings).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert model.inverse_transform(model.transform(X)).shape == X.shape


def test_new_categories_are_unusual():
    """A value that no training row has is unlikely, though its place is constant in all of them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"color": rng.choice(["red", "green", "blue"], 400)})
    frame["size"], frame["gap"] = rng.normal(size=(2, 400))
    frame.loc[::7, "gap"] = np.nan  # with an indicator, which is no place
    model = MaskedAutoencoder(max_steps=100, random_state=0).fit(frame[:300])
    rest = frame[300:]
    assert (model.predict(rest) == -1).mean() < 0.1
    assert (model.predict(rest.assign(color="violet")) == -1).mean() > 0.9
    assert model.explain(rest[:1].assign(color="violet")).idxmax(axis=1).tolist() == ["color"]
