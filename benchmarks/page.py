"""Write the page on benchmarks, its charts and the guide's table of models from the results.

Nothing is measured, and all of it is committed, so the site is built without running this. With
--data, four of the series are drawn too.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from importlib import import_module
from inspect import getdoc
from pathlib import Path

import pandas as pd

from benchmarks._lib.answers import answers
from benchmarks._lib.charts import auroc_chart, fit_chart, rank_chart, series_chart
from benchmarks._lib.results import RESULTS, read
from benchmarks._lib.tables import markdown, seconds, speed_tables
from benchmarks.quality import NAMES, series
from benchmarks.quality.summaries import of_tables
from benchmarks.speed import CASES

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = DOCS / "benchmarks"
CHARTS = {
    "fit": ("speed/fit.csv", fit_chart),
    "tabular": ("quality/tabular.csv", rank_chart),
    "oneclass": ("quality/oneclass.csv", auroc_chart),
}
HEAD = """<!-- Written by `python -m benchmarks.page`: edit the files in benchmarks. -->

# Benchmarks

How good is sktae, and how fast? Each line is one benchmark. Its link leads to all numbers, and to
how they were measured."""
READ = """\
In short: where normal rows are known, `MaskedAutoencoder` finds most, and distances to the
nearest rows are not far behind. A promised rate of false alarms is about right on average. In
series, even smoothed differences find much, and `PCA` or an autoencoder in `WindowedDetector` find
more. Maps keep about as many neighbors as UMAP's on five of eight tables, and give more back on
seven. Fits are fast; single rows are not.

![Mean AUROC of detectors on 120 tables](benchmarks/oneclass.png)

![Time of the same fit, as a multiple of a bare loop's](benchmarks/fit.png)"""
TAIL = """## How to run them

```{include} ../benchmarks/README.md
:start-after: "# Benchmarks"
```"""
# What stands before the tables.
FIRST = {
    "tabular": "A *rank* is among all that were run here; a *place* is the one that a detector "
    "would take if it alone joined the published ones, who have theirs among themselves. Both are "
    "means over the sets, and lower is better. *AUROC on half of the sets* is mean and standard "
    "deviation over random halves, which says how much hangs on the choice of sets.\n\n"
    "![Mean ranks of detectors](benchmarks/tabular.png)",
    "series": "Four of the series with the anomaly that the default finds: labels are red, and the "
    "rows that it learnt from lie left of the dotted line.\n\n"
    "![Four series, their scores and labels](benchmarks/series.png)",
}


def section(
    group: str, name: str, title: str, asked: object, tables: Callable, results: Path
) -> str:
    """Write the part of the page that answers one question: results first, then how they came."""
    data = " --data DIR" if hasattr(asked, "DATA") else ""
    command = f"```console\n$ python -m benchmarks.{group} {name}{data}\n```"
    question, _, how = (getdoc(asked) or "").partition("\n\n")
    parts, path = [f"## {title}", question], results / group / f"{name}.csv"
    if path.exists():
        parts += [FIRST[name]] if name in FIRST else []
        parts += tables(read(path))
    else:
        parts.append("No results are kept yet.")
    parts += ["**How this is measured**", *([how] if how else []), command]
    return "\n\n".join(parts)


def sections(results: Path) -> Iterator[str]:
    for name, case in CASES.items():
        yield section("speed", name, case.title, case.compared, speed_tables, results)
    for name in NAMES:
        module = import_module(f"benchmarks.quality.{name}")
        yield section("quality", name, module.TITLE, module, module.tables, results)


def benchmarks(results: Path) -> str:
    """Write the page."""
    return "\n\n".join([HEAD, answers(results), READ, *sections(results), TAIL]) + "\n"


def models(results: Path) -> str:
    """Write the table of the guide that compares all models of the gallery."""
    codes = read(results / "quality" / "reduction.csv")
    codes = codes[(codes.pixels == "standardized") & (codes.n_components == 8)]
    codes = codes.groupby("model").mean(numeric_only=True)
    names = [*codes.index.drop("PCA"), "PCA", "IsolationForest"]
    found = of_tables(read(results / "quality" / "tabular.csv")).xs("clean", level="protocol")
    found = found.drop(index=["unknown"], level="training_data").droplevel("training_data")
    cells = {"R²": codes.r2, "Digits told": codes.accuracy}
    for setting, title in (("semi", "AUROC, clean"), ("unsup", "AUROC, contaminated")):
        cells[title] = found.xs(setting, level="setting").auroc
    frame = pd.DataFrame(cells).reindex(names).map("{:.1f}".format)
    frame["Fit"] = codes.fit_seconds.map(seconds).reindex(frame.index)
    return markdown(frame.replace("nan", "").fillna("")) + "\n"


# By their paths in the folder of the documentation.
TEXTS = {"benchmarks.md": benchmarks, "benchmarks/models.md": models}


def draw(name: str, folder: Path = PICTURES) -> None:
    """Draw a chart, with a note in it that tells which results it shows."""
    source, chart = CHARTS[name]
    path = RESULTS / source
    note = {"Description": sha256(path.read_bytes()).hexdigest()}
    chart(read(path)).savefig(folder / f"{name}.png", dpi=110, metadata=note)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help=series.DATA)
    args = parser.parse_args(argv)
    for name, write in TEXTS.items():
        (DOCS / name).write_text(write(RESULTS))
    for name in CHARTS:
        draw(name)
    if args.data:
        series_chart(args.data).savefig(PICTURES / "series.png", dpi=110)


if __name__ == "__main__":
    main()
