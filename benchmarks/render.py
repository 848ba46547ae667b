"""Make the tables and the charts of the page on benchmarks from results/*.csv; nothing is run."""

import ast
import shutil
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from series_summary import KINDS as SERIES
from series_summary import summary as series_summary
from tabular_ablation import VARIANTS
from tabular_summary import PUBLISHED, read, summary

from sktae import all_estimators

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "_build" / "benchmarks"  # what docs/benchmarks.md includes
TITLES = {
    "fit_speed": "The same fit in several libraries",
    "fit_gallery": "Each model against its own loop",
    "fit_short": "The default fit of a small table",
    "sequence_speed": "Sequences",
    "image_speed": "Images",
    "score_speed": "Scoring",
    "search_speed": "Many fits together",
    "scaling": "From a thousand rows to ten million",
    "series_scaling": "From ten thousand points to a million",
    "gpu": "On a GPU",
    "tabular_quality": "Detection quality on tables",
    "tabular_ablation": "What each ingredient of a score is worth",
    "reduction_quality": "Quality of small codes",
    "disentangling": "Causes told apart",
    "series_quality": "Detection quality on series",
}
# What else a benchmark measures: its column, and how it is written.
MEASURES = {
    "million_rows_per_s": ("Million rows per second", "{:.2f}"),
    "share_of_floor": ("Share of the floor", "{:.0%}"),
    "share_of_limit": ("Share of the limit", "{:.2%}"),
    "memory_mb": ("Memory, MB", "{:.1f}"),
    "file_mb": ("File, MB", "{:.1f}"),
    "training_path": ("Road that the fit took", "{}"),
}
# What is run for those that are about detectors and need data.
QUALITY = {
    "tabular_quality": "tabular_quality.py --data DIR",
    "tabular_ablation": "tabular_quality.py --data DIR --ablation --seeds 1",
    "series_quality": "series_quality.py --data DIR",
}
SHOWN = (
    "Four of the series with the anomaly that the default finds, drawn by `--picture`: labels are "
    "red, and the rows that it learnt from lie left of the dotted line."
)
# So many of the published detectors of series are shown.
BEST = 5
PLACES = (
    "A *rank* is among all that were run here; a *place* is the one that a detector would take if "
    "it alone joined the published ones, who have theirs among themselves. Both are means over the "
    "sets, and lower is better. *AUROC on half of the sets* is mean and standard deviation over "
    "random halves, which says how much hangs on the choice of sets."
)
COLOURS = {
    "sktae": "#d62728",
    "bare loop": "#222222",
    "MLPRegressor": "#ff9f1c",
    "skorch": "#5b8db8",
    "PyOD AutoEncoder": "#2a9d5c",
}
# Who is in the picture of ranks, by what they were told: colour, style and label.
KINDS = {
    "untold": (COLOURS["sktae"], {}, "sktae"),
    "told": (COLOURS["sktae"], {"markerfacecolor": "white", "zorder": 3}, "sktae, told"),
    "": (COLOURS["bare loop"], {}, "others, run here"),
    PUBLISHED: (COLOURS["skorch"], {}, "published"),
}


# -- tables ----------------------------------------------------------------------------------------


def seconds(value: float) -> str:
    """Write a time with three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"


def times(row: pd.Series) -> str:
    return f"{seconds(row.wall_median)} ({row.wall_ratio:.2f} ×)"


def markdown(frame: pd.DataFrame) -> str:
    """Write a table whose cells are strings; the index is the first column."""
    head = ["", *frame.columns]
    lines = [head, ["---"] * len(head), *([str(row.Index), *row[1:]] for row in frame.itertuples())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def crossed(frame: pd.DataFrame, cells: pd.Series) -> pd.DataFrame:
    """Give each setting a row and each contestant a column, in their order."""
    settings, contestants = frame.setting.unique(), frame.contestant.unique()
    wide = frame.assign(cell=cells).pivot(index="setting", columns="contestant", values="cell")
    return wide.reindex(index=settings, columns=contestants).fillna("")


def tables(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the tables of contestants that were compared with one another, by title."""
    reference = frame.reference.iloc[0]
    title = f"Wall time ({reference} = 1)"
    found = {title: crossed(frame, frame.apply(times, axis=1))}
    for column, (name, form) in MEASURES.items():
        known = frame.dropna(subset=[column]) if column in frame else frame[:0]
        if len(known):
            found[name] = crossed(known, known[column].map(form.format))
    if frame.contestant.nunique() == 1:  # with one column each, they are one table
        found[title] = crossed(frame, frame.wall_median.map(seconds))
        columns = {name: part.iloc[:, 0] for name, part in found.items()}
        found = {"": pd.DataFrame(columns).rename(columns={title: "Wall time"})}
    return found


def circumstances(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    names = {"torch": "torch", "scikit-learn": "scikit-learn", "skorch": "skorch", "pyod": "PyOD"}
    versions = [f"{name} {first[key]}" for key, name in names.items() if pd.notna(first[key])]
    device = [first.device] if "device" in frame else []
    threads = "1 thread" if first.threads == 1 else f"{first.threads:.0f} threads"
    where = ", ".join([*device, f"{first.cpu} ({first.cores:.0f} cores), {threads}"])
    how = f"Median of {first.repeats} rounds" if "repeats" in frame else "One fit for each seed"
    commits = " and ".join(dict.fromkeys(frame.commit + ", " + frame.date))
    return f"{how} on {where}; {', '.join(versions)}; commit {commits}."


def timed(frame: pd.DataFrame) -> list[str]:
    """Return the tables of a benchmark of times."""
    parts = []
    for _, compared in frame.groupby("reference", sort=False):
        for title, part in tables(compared).items():
            parts += [f"**{title}**"] * bool(title) + [markdown(part)]
    return [*parts, circumstances(frame)]


def judged(frame: pd.DataFrame) -> list[str]:
    """Return the tables of a benchmark of detectors."""
    parts = []
    found = summary(frame).drop(index=PUBLISHED, level="told", errors="ignore")
    for (protocol, setting), part in found.groupby(level=["protocol", "setting"]):
        names = [name + ", told" * (told == "told") for *_, name, told in part.index]
        cells = {
            "AUROC": part.auroc.map("{:.1f}".format),
            "AUROC on half of the sets": part.half_mean.map("{:.1f} ± ".format)
            + part.half_sd.map("{:.1f}".format),
            "AP": part.ap.map("{:.1f}".format),
            "Rank": part["rank"].map("{:.1f}".format),
            "Place": part.place.map("{:.1f}".format),
            "Fit": part.fit_seconds.map(seconds),
        }
        if part.place.isna().all():
            del cells["Place"]
        title = f"**Protocol {protocol}, setting {setting}**"
        parts += [title, markdown(pd.DataFrame(cells).set_axis(names))]
    return [*parts, circumstances(frame[frame.told != PUBLISHED])]


def ablated(frame: pd.DataFrame) -> list[str]:
    """Return the table of variants, in their order."""
    frame = frame[(frame.protocol == "dte") & (frame.told != PUBLISHED)]
    means = frame.groupby(["setting", "told", "detector"])[["auroc", "ap"]].mean()
    cells = means.auroc.map("{:.1f} / ".format) + means.ap.map("{:.1f}".format)
    wide = cells.unstack(["setting", "told"]).reindex([label for label, _ in VARIANTS])
    wide.columns = [f"{setting}, {told}" for setting, told in wide]
    wide["Fit"] = frame.groupby("detector").fit_seconds.mean().map(seconds)
    return ["**AUROC / AP**", markdown(wide.dropna()), circumstances(frame)]


def reduced(frame: pd.DataFrame) -> list[str]:
    """Return the tables of a benchmark of small codes."""
    parts = []
    for pixels, part in frame.groupby("pixels", sort=False):
        means = part.groupby(["model", "n_components"], sort=False).mean(numeric_only=True)
        found = (means.r2.map("{:.1f} / ".format) + means.accuracy.map("{:.1f}".format)).unstack()
        found = found.add_suffix(" components")
        found["Fit"] = part.groupby("model").fit_seconds.median().map(seconds)
        parts += [f"**R² / accuracy, pixels {pixels}**", markdown(found)]
    return [*parts, circumstances(frame)]


def told_apart(frame: pd.DataFrame) -> list[str]:
    """Return the table of a benchmark of codes whose components stand for causes."""
    found = frame.groupby("model", sort=False)[["gap", "r2"]].agg(["mean", "std"])
    cells = {
        "Gap": found.gap["mean"].map("{:.2f} ± ".format) + found.gap["std"].map("{:.2f}".format),
        "R²": found.r2["mean"].map("{:.1f} ± ".format) + found.r2["std"].map("{:.1f}".format),
    }
    return [markdown(pd.DataFrame(cells)), circumstances(frame)]


def followed(frame: pd.DataFrame) -> list[str]:
    """Return the tables of a benchmark of detectors for series, with the best published ones."""
    parts = []
    for (kind, fit), part in series_summary(frame).groupby(level=["kind", "fit"], sort=False):
        part = part.droplevel(["kind", "fit"])
        title = f"**Series of {SERIES[kind]}, {fit}**"
        cells = {"VUS-PR": part.vus_pr.map("{:.3f}".format)}
        if fit == PUBLISHED:
            title, part = f"**Series of {SERIES[kind]}, the best published**", part[:BEST]
        else:
            cells["VUS-ROC"] = part.vus_roc.map("{:.3f}".format)
            cells["Time of a series"] = part.seconds.map(seconds)
        cells["Series"] = part.series.map(str)
        parts += [title, markdown(pd.DataFrame(cells).loc[part.index])]
    ours = frame[frame.fit != PUBLISHED]
    shared = "Several fits shared the machine, so times are upper bounds." * int(
        ours.jobs.max() > 1
    )
    return [*parts, f"{circumstances(ours)} {shared}".strip()]


def which(results: Path) -> str:
    """Write the table of the guide that compares all models of the gallery."""
    names = [E.__name__ for E in all_estimators()]
    codes = pd.read_csv(results / "reduction_quality.csv")
    codes = codes[(codes.pixels == "standardised") & (codes.n_components == 8)]
    codes = codes.groupby("model").mean(numeric_only=True).reindex(["PCA", *names])
    found = summary(read(results / "tabular_quality.csv")).xs("clean", level="protocol")
    told = found[found.index.get_level_values("told").isin(["told", ""])].droplevel("told")
    cells = {"R²": codes.r2, "Digits told": codes.accuracy}
    for setting, title in (("semi", "AUROC, clean"), ("unsup", "AUROC, contaminated")):
        cells[title] = told.xs(setting, level="setting").auroc
    forest = "IsolationForest"
    frame = pd.DataFrame(cells).reindex([*names, "PCA", forest]).map("{:.1f}".format)
    frame["Fit"] = codes.fit_seconds.map(seconds).reindex(frame.index)
    return markdown(frame.replace("nan", "").fillna(""))


def section(name: str, results: Path) -> str:
    """Write the part of the page that answers the question of one script."""
    docstring = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text()))
    command = f"```console\n$ python benchmarks/{QUALITY.get(name, f'{name}.py')}\n```"
    parts = [f"## {TITLES[name]}", docstring, command]
    path = results / f"{name}.csv"
    if not path.exists():
        parts.append("No results are kept yet.")
    elif name == "tabular_ablation":
        parts += ablated(read(path))
    elif name == "series_quality":
        picture = "![Four series, their scores and labels](_build/benchmarks/series_quality.png)"
        parts += [SHOWN, picture, *followed(read(path))]
    elif name in QUALITY:
        picture = f"![Mean ranks of detectors](_build/benchmarks/{name}.png)"
        parts += [PLACES, picture, *judged(read(path))]
    else:
        frame = pd.read_csv(path)
        kind = told_apart if "gap" in frame else reduced if "r2" in frame else timed
        parts += kind(frame)
    return "\n\n".join(parts)


# -- the chart -------------------------------------------------------------------------------------


def chart(frame: pd.DataFrame) -> Figure:
    """Draw each contestant's time as a multiple of the bare loop's."""
    settings = list(frame.setting.unique())
    figure = Figure(figsize=(8, 1.2 + 0.42 * len(settings)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(1, color=COLOURS["bare loop"], linewidth=1)
    for name, colour in COLOURS.items():
        own = frame[frame.contestant == name]
        places = [settings.index(setting) for setting in own.setting]
        axes.plot(
            own.wall_ratio,
            places,
            "o",
            color=colour,
            markersize=8,
            label=name,
            zorder=3 - (name != "sktae"),
        )
    for _, row in frame[frame.contestant == "sktae"].iterrows():
        place = (row.wall_ratio, settings.index(row.setting))
        label = f"{row.wall_ratio:.2f}"
        axes.annotate(label, place, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xscale="log", xlabel="time of the fit, bare PyTorch loop = 1", yticks=[])
    axes.set_yticks(range(len(settings)), settings)
    axes.set_ylim(len(settings) - 0.5, -0.7)
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if t <= 1.5 * frame.wall_ratio.max()]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="both", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False)
    return figure


def rank_chart(frame: pd.DataFrame) -> Figure:
    """Draw the mean rank of each detector, or its place where there are published ones."""
    found = summary(frame).reset_index()
    protocols, settings = found.protocol.unique(), found.setting.unique()
    heights = [found[found.protocol == name].detector.nunique() + 3 for name in protocols]
    figure = Figure(figsize=(9, 0.18 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(protocols), len(settings), squeeze=False, height_ratios=heights)
    for protocol, row in zip(protocols, grid, strict=True):
        for setting, axes in zip(settings, row, strict=True):
            dots(axes, found[(found.protocol == protocol) & (found.setting == setting)])
            axes.set_title(f"Protocol {protocol}, setting {setting}", fontsize=10)
    handles, labels = grid[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(KINDS), frameon=False)
    return figure


def dots(axes: Axes, part: pd.DataFrame) -> None:
    """Draw a line for each detector, with a dot for each of what it was told."""
    column = "place" if part.place.notna().any() else "rank"
    usual = part[part.told != "told"].set_index(["told", "detector"])[column].sort_values()
    kinds, names = usual.index.get_level_values("told"), usual.index.get_level_values("detector")
    for told, (colour, style, label) in KINDS.items():
        own = part[part.told == told]
        kind = "untold" if told == "told" else told
        at = [usual.index.get_loc((kind, name)) for name in own.detector]
        axes.plot(own[column], at, "o", color=colour, label=label, markersize=5, **style)
    axes.set_yticks(range(len(usual)), names, fontsize=8)
    for text, kind in zip(axes.get_yticklabels(), kinds, strict=True):
        text.set_color(KINDS[kind][0])
    axes.set_ylim(len(usual) - 0.5, -0.5)
    axes.set_xlabel(f"mean {column}", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def render(page: Path = PAGE, results: Path = HERE / "results") -> None:
    """Write what docs/benchmarks.md includes."""
    page.mkdir(parents=True, exist_ok=True)
    parts = [section(name, results) for name in TITLES]
    path = results / "fit_speed.csv"
    if path.exists():
        chart(pd.read_csv(path)).savefig(page / "fit_speed.png", dpi=150)
        text = "Time of the same fit, as a multiple of a bare loop's"
        parts.insert(0, f"![{text}](_build/benchmarks/fit_speed.png)")
    if all((results / f"{name}_quality.csv").exists() for name in ("reduction", "tabular")):
        (page / "which.md").write_text(which(results) + "\n")
    path = results / "tabular_quality.csv"
    if path.exists():
        rank_chart(read(path)).savefig(page / "tabular_quality.png", dpi=150)
    for path in results.glob("*.png"):
        shutil.copy(path, page)
    (page / "tables.md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    render()
