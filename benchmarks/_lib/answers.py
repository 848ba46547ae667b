"""The answers with which the page on benchmarks begins, taken from the results."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmarks._lib.results import read
from benchmarks.quality.summaries import PUBLISHED, of_series, of_tables

LEADING = 2  # of the published methods, how many are named


def named(values: pd.Series, names: Sequence[str], form: str) -> str:
    """Write the values of those names that were measured."""
    return "; ".join(f"{name} {form.format(values[name])}" for name in names if name in values)


def normal_rows(frame: pd.DataFrame) -> str:
    found = of_tables(frame.assign(protocol="", setting="")).reset_index()
    asked = found[found.training_data.isin(["unknown", ""])].set_index("detector").auroc
    names = ("MaskedAutoencoder", "DenoisingAutoencoder", "kNN mean", "LOF", "IsolationForest")
    return named(asked, names, "{:.1f}")


def contaminated_rows(frame: pd.DataFrame) -> str:
    found = of_tables(frame).reset_index()
    found = found[(found.protocol == "clean") & (found.setting == "unsup")]
    asked = found[found.training_data.isin(["unknown", ""])].set_index("detector").auroc
    names = ("DenoisingAutoencoder", "IsolationForest", "kNN mean", "PyOD AutoEncoder", "LOF")
    return named(asked, names, "{:.1f}")


def false_alarms(frame: pd.DataFrame) -> str:
    flagged = frame.groupby("detector").flagged.mean()
    return named(flagged, ("held out", "cross", "IsolationForest", "training rows"), "{:.2f} %")


def series(frame: pd.DataFrame, kind: str) -> str:
    found = of_series(frame).vus_pr
    if (kind, "prefix") not in found.index.droplevel("detector"):
        return ""
    own = named(found[kind, "prefix"], ("default", "PCA", "no model"), "{:.2f}")
    if (kind, PUBLISHED) not in found.index.droplevel("detector"):
        return own
    best = found[kind, PUBLISHED][:LEADING]
    return f"{own}; published: {named(best, list(best.index), '{:.2f}')}"


def maps(frame: pd.DataFrame) -> str:
    codes = frame[(frame.set == "digits") & (frame.n_components == 2)]
    means = codes.groupby("model")[["accuracy", "r2"]].mean()
    cells = means.accuracy.map("{:.1f}".format) + " and " + means.r2.map("{:.1f}".format)
    return named(cells, ("NeighborAutoencoder", "UMAP", "PCA"), "{}")


def fits(frame: pd.DataFrame) -> str:
    ratios = frame.groupby("contestant").wall_ratio.median()
    return named(ratios, ("sktae", "MLPRegressor", "skorch", "PyOD AutoEncoder"), "{:.1f}")


def single_rows(frame: pd.DataFrame) -> str:
    arrays = frame[frame.setting.str.endswith("array")]  # the others take no DataFrame
    times = 1000 * arrays.set_index("contestant").wall_median
    return named(times, ("sktae", "PyOD AutoEncoder", "skorch"), "{:.2f} ms")


# What is asked, the heading below that has more, the file of results, and what is made of it.
ANSWERS = (
    (
        "Who finds outliers after training on normal rows? Mean AUROC on 120 tables",
        "detection-quality-after-training-on-normal-rows",
        "quality/oneclass.csv",
        normal_rows,
    ),
    (
        "And where outliers are among the training rows? On 22 tables, on which our defaults were "
        "chosen",
        "detection-quality-on-tables",
        "quality/tabular.csv",
        contaminated_rows,
    ),
    (
        "How many new normal rows raise an alarm, if 1 % are asked for? By `calibration`, and of "
        "scikit-learn's forest",
        "how-often-an-alarm-is-false",
        "quality/false_alarms.csv",
        false_alarms,
    ),
    (
        "Who finds the anomalies of series of one channel? VUS-PR on 26 series, on which our "
        "default was chosen",
        "detection-quality-on-series",
        "quality/series.csv",
        lambda frame: series(frame, "uni"),
    ),
    (
        "And of several channels? On 22 series",
        "detection-quality-on-series",
        "quality/series.csv",
        lambda frame: series(frame, "multi"),
    ),
    (
        "Do maps keep neighbors, and the rows? Digits told by the five nearest, and variance that "
        "comes back, in percent",
        "maps",
        "quality/maps.csv",
        maps,
    ),
    (
        "How long does a fit take, if a bare loop in torch takes 1?",
        "the-same-fit-in-several-libraries",
        "speed/fit.csv",
        fits,
    ),
    (
        "How long does the score of a single row take?",
        "scoring-a-single-row",
        "speed/score_row.csv",
        single_rows,
    ),
)


def answers(results: Path) -> str:
    """Write the table of answers to what has been measured."""
    lines = ["| question | answer |", "| --- | --- |"]
    for question, heading, name, answer in ANSWERS:
        if (results / name).exists():
            lines.append(f"| [{question}](#{heading}) | {answer(read(results / name))} |")
    return "\n".join(lines)
