"""Draw the pictures of the first page, each for a light and for a dark page."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA

from sktae import DenoisingAutoencoder, NeighborAutoencoder, WindowedDetector

BLUE, ORANGE, GRAY = "#56B4E9", "#D55E00", "#888888"  # of Okabe and Ito
OF_DIGITS = ["#E69F00", BLUE, "#009E73", "#CC79A7", "#0072B2"]
INK = {"light": "#222222", "dark": "#dddddd"}


def reasons():
    """Fit a detector of benign tumors, spoil one and return why it looks unusual."""
    data, benign = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = data[benign == 1]
    spoilt = rows[:1].assign(**{"mean area": rows["mean area"].quantile(0.1)})
    model = DenoisingAutoencoder(calibration=None, random_state=0).fit(rows[1:])
    return model.explain(spoilt).iloc[0].nlargest(5)[::-1]


def draw_reasons(axes, largest):
    colors = [BLUE] * (len(largest) - 1) + [ORANGE]
    axes.barh(largest.index, largest, color=colors)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def series():
    """Watch two sensors and return them with the anomaly score and the event."""
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * np.arange(1000) / 24)
    X = pd.DataFrame({"pressure": wave, "flow": np.roll(wave, 4)})
    X += 0.06 * rng.normal(size=X.shape)
    X.iloc[896:920, 0] = X.iloc[896, 0]  # the sensor freezes
    model = WindowedDetector(PCA(8), window_size=30, contamination=None, random_state=0)
    model.fit(X[:600])
    return X[800:], -model.score_samples(X)[800:], -model.offset_


def draw_series(axes, found):
    X, anomaly, threshold = found
    axes.plot(X.index, X["pressure"] / 2 + 2.6, color=BLUE, lw=1)
    axes.plot(X.index, X["flow"] / 2 + 1.4, color=BLUE, lw=1)
    axes.plot(X.index, anomaly / anomaly.max() * 0.7, color=ORANGE, lw=1.5)
    event = X.index[anomaly > threshold]
    axes.axvspan(event.min(), event.max(), color=ORANGE, alpha=0.2, lw=0)
    axes.set_yticks([2.6, 1.4, 0.3], ["pressure", "flow", "anomaly"])
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def digits():
    """Make a map of digits and return the places of half of them, which are new to it."""
    X, y = load_digits(return_X_y=True)
    model = NeighborAutoencoder(
        standardize="shared", max_steps=1000, calibration=None, random_state=0
    )
    return model.fit(X[::2]).transform(X[1::2]), y[1::2]


def draw_digits(axes, found):
    codes, y = found
    for digit in range(10):
        own = codes[y == digit]
        axes.scatter(*own.T, s=4, lw=0, color=OF_DIGITS[digit % 5])
        axes.text(
            *np.median(own, axis=0), str(digit), size=15, weight="bold", ha="center", va="center"
        )
    axes.set_axis_off()


CARDS = {
    "reasons": (reasons, draw_reasons),
    "series": (series, draw_series),
    "digits": (digits, draw_digits),
}


def write(folder):
    """Write the pictures that the folder lacks, as NAME-light.svg and NAME-dark.svg."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, (find, draw) in CARDS.items():
        paths = {theme: Path(folder) / f"{name}-{theme}.svg" for theme in INK}
        if all(path.exists() for path in paths.values()):
            continue
        found = find()
        for theme, ink in INK.items():
            style = {"text.color": ink, "ytick.color": ink, "svg.fonttype": "none"}
            with rc_context({**style, "font.size": 11, "svg.hashsalt": name}):
                figure = Figure(figsize=(3.8, 2.5), layout="constrained")
                axes = figure.subplots()
                axes.spines[["top", "right", "left"]].set_visible(False)
                axes.tick_params(axis="y", length=0)
                draw(axes, found)
                figure.savefig(paths[theme], transparent=True)
