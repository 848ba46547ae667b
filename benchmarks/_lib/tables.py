"""Results as tables in Markdown: what a benchmark prints, and what its page shows."""

from collections.abc import Iterator

import pandas as pd

# What else a case measures: its column, and how it is written.
MEASURES = {
    "million_rows_per_s": ("Million rows per second", "{:.2f}"),
    "share_of_floor": ("Share of the floor", "{:.0%}"),
    "share_of_limit": ("Share of the limit", "{:.2%}"),
    "slow_ms": ("Slow rows, ms", "{:.2f}"),
    "memory_mb": ("Memory, MB", "{:.1f}"),
    "file_mb": ("File, MB", "{:.1f}"),
    "rows_mb": ("Rows, MB", "{:.1f}"),
}


def seconds(value: float) -> str:
    """Write a time with three digits and its unit."""
    for unit, size in (("s", 1), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} µs"


def pairs(first: pd.Series, between: str, second: pd.Series, form: str = "{:.1f}") -> pd.Series:
    return first.map(form.format) + between + second.map(form.format)


def markdown(frame: pd.DataFrame) -> str:
    """Write a table whose cells are strings; the index is the first column."""
    head = ["", *frame.columns]
    lines = [head, ["---"] * len(head), *([str(row.Index), *row[1:]] for row in frame.itertuples())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def crossed(frame: pd.DataFrame, cells: pd.Series) -> str:
    """Give each setting a row and each contestant a column, in their order."""
    settings, contestants = frame.setting.unique(), frame.contestant.unique()
    wide = frame.assign(cell=cells).pivot(index="setting", columns="contestant", values="cell")
    return markdown(wide.reindex(index=settings, columns=contestants).fillna(""))


def speed_tables(frame: pd.DataFrame) -> Iterator[str]:
    """Yield the tables of contestants that were compared with one another."""
    for baseline, part in frame.groupby("baseline", sort=False):
        measures = {
            name: part[column].dropna().map(form.format)
            for column, (name, form) in MEASURES.items()
            if column in part and part[column].notna().any()
        }
        times = part.wall_median.map(seconds)
        if part.contestant.nunique() == 1:  # with one column each, they are one table
            yield markdown(pd.DataFrame({"Wall time": times, **measures}).set_axis(part.setting))
            continue
        ratios = " (" + part.wall_ratio.map("{:.2f} ×)".format)
        for title, cells in {f"Wall time ({baseline} = 1)": times + ratios, **measures}.items():
            yield f"**{title}**"
            yield crossed(part.loc[cells.index], cells)
    yield circumstances(frame)


def circumstances(frame: pd.DataFrame) -> str:
    """Say how, where and when results were measured."""
    first = frame.iloc[0]
    names = {"torch": "torch", "scikit-learn": "scikit-learn", "skorch": "skorch", "pyod": "PyOD"}
    versions = [f"{name} {first[key]}" for key, name in names.items() if pd.notna(first[key])]
    device = [first.device] if "device" in frame else []
    threads = "1 thread" if first.threads == 1 else f"{first.threads:.0f} threads"
    where = ", ".join([*device, f"{first.cpu} ({first.cores:.0f} cores), {threads}"])
    how = "One fit for each seed"
    if "repeats" in frame:
        how = f"Median of {first.repeats} rounds" if first.repeats > 1 else "One round"
    commits = " and ".join(dict.fromkeys(frame.commit + ", " + frame.date))
    text = f"{how} on {where}; {', '.join(versions)}; commit {commits}."
    if "jobs" in frame and frame.jobs.max() > 1:
        text += " Several fits shared the machine, so times are upper bounds."
    return text
