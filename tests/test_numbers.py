"""Numbers of any kind and size: NumPy's scalars, far outliers, offsets, large identifiers."""

import numpy as np
import pytest
from shared import quick

from sktae import Autoencoder, AutoencoderEnsemble, WindowedDetector, fit_many

# -- parameters ------------------------------------------------------------------------------------

NARROW = {bool: np.bool_, int: np.int8, float: np.float64, str: np.str_}


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderEnsemble(quick(max_steps=2), n_estimators=2, calibration_fraction=0.2),
        WindowedDetector(quick(max_steps=2), window_size=100, stride=50, max_windows=100),
    ],
    ids=lambda model: type(model).__name__,
)
def test_composed_estimators_take_scalars_of_numpy(model, X):
    """They count as plain numbers, however few bits they have, and stay what they are."""
    plain = model.set_params(random_state=0)
    params = plain.get_params(deep=False)
    scalars = {name: NARROW[type(v)](v) for name, v in params.items() if type(v) in NARROW}
    given = type(model)(**params | scalars).fit(X)
    np.testing.assert_array_equal(given.score_samples(X), plain.fit(X).score_samples(X))
    assert all(getattr(given, name) is value for name, value in scalars.items())


def test_scalars_of_numpy_join_a_stack(X):
    """What is equal as a number is one structure, so its fits are made together."""
    models = [Autoencoder(n, max_steps=2) for n in (2, np.int64(2), np.int8(2))]
    assert {model.training_path_ for model in fit_many(models, [X] * 3)} == {"stacked"}
