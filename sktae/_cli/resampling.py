"""Rows of series that are equally spaced."""

import warnings

import numpy as np
import pandas as pd
import typer

from sktae._cli.rows import Rows


def resampled(rows: Rows, rule: str | None, group: str | None) -> Rows:
    """Return the rows of each series as means over intervals; missing where rows are too few."""
    if rule is None:
        return rows
    if not isinstance(rows.X.index, pd.DatetimeIndex):
        raise ValueError(
            f"--resample {rule} needs a column of dates, which makes the rows a time series: name "
            f"it by --time."
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # of spellings that pandas will give up
            step = pd.tseries.frequencies.to_offset(rule)
    except ValueError as error:
        raise typer.BadParameter(
            f"--resample takes the time from row to row, such as 10min, 1h or 1D, not {rule!r}."
        ) from error
    labels, groups = rows.labels, np.zeros(len(rows.X))
    X = rows.X
    if group is not None:
        X, groups = X.drop(columns=group), X[group].to_numpy()
    whole = [X, rows.beside] if labels is None else [X, rows.beside, labels]
    # An interval is unusual if any of its rows is: by 1, or by -1.
    reductions = ["mean", "first", "min" if labels is not None and labels.eq(-1).any() else "max"]
    parts = []
    for name in pd.unique(groups):
        chosen, named = groups == name, {} if group is None else {group: name}
        means, beside, *own = (
            frame.set_axis(X.index)[chosen].resample(step).agg(how)
            for frame, how in zip(whole, reductions, strict=False)
        )
        # The mean of a few rows beside a gap is another one than those of whole intervals.
        counts = X[chosen].resample(step).count()
        means = means.where(counts >= counts.where(counts > 0).median() / 2)
        beside = beside.assign(**named, **{X.index.name: means.index})
        parts.append((means.assign(**named), beside, *own))
    X, beside, *own = (pd.concat(frames) for frames in zip(*parts, strict=True))
    own = [one.reset_index(drop=True) for one in own]
    options = {**rows.options, "resample": rule}
    return Rows(X, beside.reset_index(drop=True), own[0] if own else None, True, options)
