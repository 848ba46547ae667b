"""What is each ingredient of the default detector worth?

`DenoisingAutoencoder` as it is, and with one thing changed, on the same tables, in the protocol
*dte*, with one seed, `training_data` *given* or *unknown*. After one training step the network is
as it was drawn: what is then left is due to the measures of the score alone. Without a network they
are taken of the row itself, which is a code that is not learnt. A score that differs little from
these owes little to the network: so it is in the setting *unsup*, where what counts is which rows
pass for central, and not in *semi*.

The second table is the same for `MaskedAutoencoder`, of which some settings are constants and no
parameters: which share of the columns is masked in training, how much the visible columns count,
and what rows are compared by. These were chosen on these tables.
"""

from contextlib import ExitStack, contextmanager
from functools import partial
from typing import ClassVar
from unittest import mock

from benchmarks._lib.no_network import NoNetwork
from benchmarks._lib.tables import circumstances, markdown, pairs, seconds
from benchmarks.quality import tabular
from benchmarks.quality.summaries import PUBLISHED
from sktae import Autoencoder, DenoisingAutoencoder, MaskedAutoencoder

TITLE = "What each ingredient of a score is worth"
DATA, KEYS, SEEDS = tabular.DATA, tabular.KEYS, 1


# Scores do not depend on `calibration`, which takes time.
denoising = partial(partial, DenoisingAutoencoder, calibration=None)


class Changed(MaskedAutoencoder):
    """A masked autoencoder in which some constants have other values."""

    _constants: ClassVar = {}

    @contextmanager
    def changed(self):
        with ExitStack() as stack:
            for name, value in self._constants.items():
                stack.enter_context(mock.patch(f"sktae.{name}", value))
            yield

    def fit(self, X, y=None):
        with self.changed():
            return super().fit(X, y)

    def score_samples(self, X):
        with self.changed():
            return super().score_samples(X)


def masked(constants=None, space=None, **params):
    own = {"_constants": constants or {}, **({} if space is None else {"_space": space})}
    return partial(type("Changed", (Changed,), own), calibration=None, **params)


ROWS = {"features": 1.0, "code": 1.0, "ranks": 1.0}
MASKED = {
    "masked, as it is": masked(),
    "masked, after one training step": masked(max_steps=1),
    "masked, without the likelihood": masked({"_outliers.model._LIKELIHOOD": {}}),
    "masked, 10 to 40 % of the columns": masked({"autoencoders.masked._MASKED": (0.1, 0.4)}),
    "masked, visible columns count nothing": masked({"autoencoders.masked._VISIBLE": 0.0}),
    "masked, 8 bins": masked(n_bins=8),
    "masked, 32 bins": masked(n_bins=32),
    "masked, compared by residuals, too": masked(space={**ROWS, "residual": 0.5}),
}
CONTESTANTS = {
    "as it is": denoising(),
    "after one training step": denoising(max_steps=1),
    "without a network": partial(NoNetwork, calibration=None, max_steps=1),
    "the residual alone": denoising(score_method="residual"),
    "the distance alone": denoising(score_method="distance"),
    "the mean squared error": denoising(score_method="error"),
    "a code of 8": denoising(n_components=8),
    "noise 0.1": denoising(noise_level=0.1),
    "no noise": partial(Autoencoder, calibration=None),
    "150 steps": denoising(max_steps=150),
    "1000 steps": denoising(max_steps=1000),
    **MASKED,
}


sets = partial(tabular.sets, detectors=CONTESTANTS)


def tables(frame):
    frame = frame[(frame.protocol == "dte") & (frame.training_data != PUBLISHED)]
    means = frame.groupby(["setting", "training_data", "detector"])[["auroc", "ap"]].mean()
    wide = pairs(means.auroc, " / ", means.ap).unstack(["setting", "training_data"])
    wide = wide.reindex(CONTESTANTS)
    wide.columns = [f"{setting}, {given}" for setting, given in wide]
    wide["Fit"] = frame.groupby("detector").fit_seconds.mean().map(seconds)
    yield "**AUROC / AP**"
    yield markdown(wide.drop(index=MASKED).dropna())
    yield "**The same for `MaskedAutoencoder`**"
    own = wide.loc[list(MASKED)]
    yield markdown(own.rename(lambda name: name.removeprefix("masked, ")).dropna())
    yield circumstances(frame)
