"""The charts of the page on benchmarks."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.quality.series import listed, loaded
from benchmarks.quality.summaries import PUBLISHED, of_tables
from sktae import WindowedDetector
from sktae.metrics import vus_pr

COLORS = {  # of Okabe and Ito, who chose them for the color-blind, too
    "sktae": "#D55E00",
    "bare loop": "#222222",
    "MLPRegressor": "#E69F00",
    "skorch": "#0072B2",
    "PyOD AutoEncoder": "#56B4E9",
}
# Who is in the chart of ranks, by training_data: color, style and label.
KINDS = {
    "unknown": (COLORS["sktae"], {}, "sktae"),
    "given": (
        COLORS["sktae"],
        {"markerfacecolor": "white", "zorder": 3},
        "sktae, training_data given",
    ),
    "": (COLORS["bare loop"], {}, "others, run here"),
    PUBLISHED: (COLORS["skorch"], {}, "published"),
}


def styled(axes: Axes, names: list[str], **labels: str) -> None:
    """Give each name a line of its own, from above."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.6)
    axes.set(**labels)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def fit_chart(frame: pd.DataFrame) -> Figure:
    """Draw each contestant's time as a multiple of the bare loop's."""
    settings = list(frame.setting.unique())
    figure = Figure(figsize=(8, 1.2 + 0.42 * len(settings)), layout="constrained")
    axes = figure.subplots()
    for name, color in COLORS.items():
        own = frame[frame.contestant == name]
        heights = [settings.index(setting) for setting in own.setting]
        order = 3 - (name != "sktae")
        axes.plot(own.wall_ratio, heights, "o", color=color, markersize=8, label=name, zorder=order)
    for row in frame[frame.contestant == "sktae"].itertuples():
        at, style = (row.wall_ratio, settings.index(row.setting)), {"ha": "center", "fontsize": 8}
        axes.annotate(f"{row.wall_ratio:.2f}", at, (0, 7), textcoords="offset points", **style)
    styled(axes, settings, xscale="log", xlabel="time of the fit, bare PyTorch loop = 1")
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if t <= 1.5 * frame.wall_ratio.max()]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    figure.legend(loc="outside upper center", ncols=len(COLORS), frameon=False)
    return figure


def rank_chart(frame: pd.DataFrame) -> Figure:
    """Draw the mean rank of each detector, or its place where there are published ones."""
    found = of_tables(frame).reset_index()
    protocols, settings = found.protocol.unique(), found.setting.unique()
    heights = [found[found.protocol == name].detector.nunique() + 3 for name in protocols]
    figure = Figure(figsize=(9, 0.18 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(protocols), len(settings), squeeze=False, height_ratios=heights)
    for (protocol, setting), part in found.groupby(["protocol", "setting"]):
        axes = grid[list(protocols).index(protocol), list(settings).index(setting)]
        rank_axes(axes, part)
        axes.set_title(f"Protocol {protocol}, setting {setting}", fontsize=10)
    handles, labels = grid[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(KINDS), frameon=False)
    return figure


def auroc_chart(frame: pd.DataFrame) -> Figure:
    """Draw the mean AUROC of each detector, with dots as in the chart of ranks."""
    found = of_tables(frame.assign(protocol="", setting="")).reset_index()
    names = list(found.sort_values("auroc", ascending=False).detector.unique())
    figure = Figure(figsize=(8, 1.2 + 0.3 * len(names)), layout="constrained")
    axes = figure.subplots()
    for kind, (color, style, label) in KINDS.items():
        own = found[found.training_data == kind]
        if len(own):
            heights = [names.index(name) for name in own.detector]
            axes.plot(own.auroc, heights, "o", color=color, label=label, markersize=8, **style)
    styled(axes, names, xlabel="mean AUROC, in percent")
    figure.legend(loc="outside upper center", ncols=len(KINDS), frameon=False)
    return figure


def rank_axes(axes: Axes, part: pd.DataFrame) -> None:
    """Draw a line for each detector, with a dot for each value of training_data."""
    column = "place" if part.place.notna().any() else "rank"
    lines = part[part.training_data != "given"].sort_values(column)
    lines = list(zip(lines.training_data, lines.detector, strict=True))
    for kind, (color, style, label) in KINDS.items():
        own = part[part.training_data == kind]
        at = [lines.index(("unknown" if kind == "given" else kind, name)) for name in own.detector]
        axes.plot(own[column], at, "o", color=color, label=label, markersize=5, **style)
    styled(axes, [name for _, name in lines], xlabel=f"mean {column}")
    axes.tick_params(labelsize=8)
    for text, (kind, _) in zip(axes.get_yticklabels(), lines, strict=True):
        text.set_color(KINDS[kind][0])


def series_chart(data: Path) -> Figure:
    """Draw four series, two of each kind and of four sources, with scores and labels."""
    everything, chosen = listed(data), {}
    for kind, n in (("uni", 2), ("multi", 4)):
        for series in everything:
            if series.kind == kind and len(chosen) < n:
                chosen.setdefault(series.name.split("_")[1], series)
    figure = Figure(figsize=(10, 2.2 * len(chosen)), layout="constrained")
    for axes, series in zip(figure.subplots(len(chosen)), chosen.values(), strict=True):
        X, y = loaded(series)
        model = WindowedDetector(random_state=0).fit(X[: series.train_len])
        anomaly = -model.score_samples(X)
        scale = np.where((scale := X.std(axis=0)) > 0, scale, 1.0)
        axes.plot(np.clip((X - X.mean(axis=0)) / scale, -4, 4) / 4, lw=0.3, color="#5b8db8")
        axes.plot(1.2 + anomaly / anomaly.max(), lw=1, color="black")
        for start, end in np.flatnonzero(np.diff(np.pad(y, 1))).reshape(-1, 2):
            axes.axvspan(start, end, color="#d62728", alpha=0.3, lw=0)
        axes.axvline(series.train_len, color="0.5", ls=":")
        measure = vus_pr(y, anomaly, window=series.vus_window)
        axes.set_title(f"{series.name}: VUS-PR {measure:.2f}", loc="left", fontsize=9)
        axes.set_yticks([0, 1.7], ["series", "anomaly"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
    return figure
