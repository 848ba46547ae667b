"""What is each ingredient of the default detector worth?

`DenoisingAutoencoder` as it is, and with one thing changed, on the same tables, in the protocol
*dte*, with one seed, `training_data` *given* or *unknown*. After one training step the network is
as it was drawn: what is then left is due to the measures of the score alone. Without a network they
are taken of the row itself, which is a code that is not learnt. A score that differs little from
these owes little to the network: so it is in the setting *unsup*, where what counts is which rows
pass for central, and not in *semi*.
"""

from functools import partial

from benchmarks._lib.no_network import NoNetwork
from benchmarks._lib.tables import circumstances, markdown, pairs, seconds
from benchmarks.quality import tabular
from benchmarks.quality.summaries import PUBLISHED
from sktae import Autoencoder, DenoisingAutoencoder

TITLE = "What each ingredient of a score is worth"
DATA, KEYS, SEEDS = tabular.DATA, tabular.KEYS, 1


# Scores do not depend on `calibration`, which takes time.
denoising = partial(partial, DenoisingAutoencoder, calibration=None)

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
    yield markdown(wide.dropna())
    yield circumstances(frame)
