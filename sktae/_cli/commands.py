"""The commands."""

import time as clock
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import typer

import sktae
from sktae import (
    DenoisingAutoencoder,
    MaskedAutoencoder,
    NeighborAutoencoder,
    WindowedDetector,
    citation,
    load,
    save,
)
from sktae._cli import models, results, tables
from sktae._cli.console import Console
from sktae._cli.resampling import resampled
from sktae._cli.rows import Rows, names_of, options_of, rows_to_fit, rows_to_judge
from sktae._pipelines import last_step

_PICTURES = (".png", ".svg", ".pdf")


def run(command: str, quiet: bool, options: dict[str, Any]) -> None:
    """Run a command by name."""
    console = Console(quiet)
    started, json = clock.perf_counter(), options.pop("json", False)
    if json and options.get("out") == "-":
        raise typer.BadParameter("--json and --out - cannot both write to stdout; name a file.")
    with console.listening():
        summary = _COMMANDS[command](console, json=json, **options)
    seconds = round(clock.perf_counter() - started, 1)
    if json:
        console.summarize({"command": command, **summary, "seconds": seconds})
    for name in ("out", "alarms", "report", "picture"):
        if summary.get(name) not in (None, "-"):
            console.say(f"Wrote {summary[name]}.")


def detect(console, *, data, out, alarms, report, label, json, **options):
    """Fit to the rows of a table, and judge the same rows."""
    _check_outputs(out, alarms)
    tables.check_out(report)
    model, rows, summary = _fitted(console, data, DenoisingAutoencoder(), label=label, **options)
    table = results.scored(model, rows)
    summary |= _judged(console, model, rows, table)
    _write(table, out, json)
    if alarms is not None:
        tables.write(results.alarms(model, rows, table), alarms)
    if report is not None:
        _write_report(model, rows, report)
    return {**summary, "out": out, "alarms": alarms, "report": report}


def fit(console, *, data, out, json, **options):
    """Fit to the rows of a table, and save the model."""
    tables.check_out(out)
    model, rows, summary = _fitted(console, data, MaskedAutoencoder(), **options)
    model._options = rows.options
    save(model, out)
    if rows.labels is not None:
        summary |= _judged(console, model, rows, results.scored(model, rows))
    return {**summary, "out": out}


def score(console, *, model, data, out, alarms, index, label, time, json):
    """Judge the rows of a table by a model."""
    _check_outputs(out, alarms)
    model, rows = _loaded(console, model, data, index=index, label=label, time=time)
    _check_detects(model)
    table = results.scored(model, rows)
    summary = _described(model, rows) | _judged(console, model, rows, table)
    _write(table, out, json)
    if alarms is not None:
        tables.write(results.alarms(model, rows, table), alarms)
    return {**summary, "out": out, "alarms": alarms}


def explain(console, *, model, data, out, index, time, json):
    """Write what each column adds to the anomaly of each row."""
    _check_outputs(out)
    model, rows = _loaded(console, model, data, index=index, time=time)
    _check_detects(model)
    observed = np.flatnonzero(rows.observed)
    contributions = sktae.explain(model, rows.X.iloc[observed]).set_axis(observed)
    table = pd.concat([rows.beside, contributions.reindex(range(len(rows.X)))], axis=1)
    _write(table, out, json)
    return {**_described(model, rows), "out": out}


def map_rows(console, *, data, out, picture, estimator, set_, seed, label, json, index, **options):
    """Encode the rows of a table as a few numbers."""
    _check_outputs(out)
    tables.check_out(picture)
    if picture is not None and not picture.lower().endswith(_PICTURES):
        raise typer.BadParameter(f"The name {picture!r} must end in .png, .svg or .pdf.")
    table = _read(console, data, names_of(index))
    rows = rows_to_fit(table, console, index=index, label=label, dates=False, **options)
    model = models.build(
        estimator,
        set_,
        seed=seed,
        verbose=console.shows_progress,
        default=NeighborAutoencoder(),
        n_components=2,
    )
    observed = rows.observed
    codes = np.asarray(model.fit(rows.X[observed]).transform(rows.X[observed]))
    found = pd.DataFrame(codes.reshape(len(codes), -1), index=np.flatnonzero(observed)).reindex(
        range(len(rows.X))
    )
    found.columns = model.get_feature_names_out()
    _write(pd.concat([rows.beside, found], axis=1), out, json)
    if picture is not None:
        _draw(model, rows, picture)
    return {**_described(model, rows), "out": out, "picture": picture}


def report(console, *, model, data, out, label, time, json):
    """Write a report on the rows of a table, judged by a model."""
    tables.check_out(out)
    model, rows = _loaded(console, model, data, label=label, time=time)
    _check_detects(model)
    _write_report(model, rows, out)
    return {**_described(model, rows), "out": out}


def cite(console, *, name, json):
    """Print the papers behind an estimator."""
    typer.echo(citation(models.class_of(name)))
    return {}


_COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "detect": detect,
    "fit": fit,
    "score": score,
    "explain": explain,
    "map": map_rows,
    "report": report,
    "cite": cite,
}


def _read(console: Console, data: str, as_text: Sequence[str] = ()) -> pd.DataFrame:
    table = tables.read(data, as_text)
    name = "stdin" if data == "-" else data
    console.say(f"Read {name}: {len(table)} rows, {len(table.columns)} columns.")
    return table


def _fitted(
    console,
    data,
    default,
    *,
    estimator,
    set_,
    seed,
    false_alarm_rate,
    contamination,
    index,
    group,
    resample,
    **options,
):
    """Return a fitted estimator, its rows, and a summary of both."""
    if false_alarm_rate is not None and contamination is not None:
        raise typer.BadParameter(
            "--false-alarm-rate and --contamination both set the threshold: pass one of them."
        )
    series = estimator == WindowedDetector.__name__
    if estimator is not None:
        models.class_of(estimator)  # before anything is read
    table = _read(console, data, names_of(index))
    rows = rows_to_fit(table, console, index=index, group=group, series=series, **options)
    rows = resampled(rows, resample, group)
    model = models.build(
        estimator,
        set_,
        seed=seed,
        series=rows.series,
        categories=rows.categories,
        verbose=console.shows_progress,
        default=default,
        false_alarm_rate=false_alarm_rate,
        contamination=contamination,
        **({"group": group} if rows.series else {}),
    )
    X, y = rows.X[rows.observed], None
    _note_empty(console, rows)
    if getattr(model, "use_labels", False) and rows.labels is not None:
        known = results.are_outliers(rows.labels)[rows.observed]
        y = np.where(known.eq(True), -1, 0)
    console.say(f"Training {type(model).__name__} ...")
    model.fit(X, y)
    return model, rows, _described(model, rows)


def _loaded(console: Console, model: str, data: str, *, index=None, **options: Any):
    """Return a model, and the rows that it is to judge."""
    fitted = load(model)
    as_text = options_of(fitted)["index"] if index is None else names_of(index)
    table = _read(console, data, as_text)
    rows = rows_to_judge(table, console, fitted, index=index, **options)
    group = getattr(last_step(fitted), "group", None)
    rows = resampled(rows, options_of(fitted)["resample"], group)
    _note_empty(console, rows)
    return fitted, rows


def _note_empty(console: Console, rows: Rows) -> None:
    empty = np.flatnonzero(~rows.observed)
    if len(empty):
        console.note(f"Rows without any value get no result: {len(empty)}, as row {empty[0]}.")


def _check_detects(model: Any) -> None:
    last = last_step(model)
    if not hasattr(last, "offset_"):
        raise ValueError(f"{type(last).__name__} is no detector, so it cannot judge rows.")


def _check_outputs(*paths: str | None) -> None:
    """Raise if tables cannot be written, before the work is done."""
    for path in paths:
        if path is not None:
            tables.format_of(path)
    tables.check_out(*paths)


def _write(table: pd.DataFrame, out: str | None, json: bool) -> None:
    if out is not None or not json:
        tables.write(table, out or "-")


def _described(model: Any, rows: Rows) -> dict[str, Any]:
    last = last_step(model)
    channels = [name for name in rows.X if name != getattr(last, "group", None)]
    return {
        "estimator": type(last).__name__,
        "rows": len(rows.X),
        "columns": channels,
        "series": rows.series,
    }


def _judged(console: Console, model: Any, rows: Rows, table: pd.DataFrame) -> dict[str, Any]:
    """Say what was found, and return it."""
    last = last_step(model)
    summary: dict[str, Any] = {
        "outliers": int(table["outlier"].eq(True).sum()),
        "threshold": float(last.offset_),
        "most_unusual": results.shown(table, list(rows.beside)),
    }
    n, share = summary["outliers"], summary["outliers"] / len(table)
    console.say(f"{type(last).__name__} finds {n} outliers in {len(table)} rows ({share:.1%}).")
    if rows.series:
        events = sktae.events(model, rows.X)
        summary["events"] = events.to_dict("records")
        n = len(events)
        console.say(f"{n} events{f', the first {results.SHOWN}' * (n > results.SHOWN)}:")
        for event in summary["events"][: results.SHOWN]:
            channels = ", ".join(event["channels"])
            console.say(f"  {event['start']} to {event['end']}: {event['kind']} {channels}")
    else:
        for row in summary["most_unusual"]:
            names = "".join(f", {name} {row[name]}" for name in rows.beside)
            reasons = ", ".join(row["reasons"])
            console.say(f"  row {row['row']}{names}: score {row['score']:.4g}, {reasons}")
    if rows.labels is not None:
        found = results.agreement(rows.labels, table["score"], console)
        summary |= found
        if found:
            console.say(
                f"By {rows.labels.name!r}: AUROC {found['auroc']:.3f}, average precision "
                f"{found['average_precision']:.3f}, {found['labeled_outliers']} outliers."
            )
    return summary


def _write_report(model: Any, rows: Rows, path: str) -> None:
    from sktae import write_report

    X, y = rows.X[rows.observed], None
    if rows.beside.shape[1] and not rows.series:
        X = X.set_index(pd.Index(rows.beside.iloc[:, 0][rows.observed]))
    if rows.labels is not None:
        known = results.are_outliers(rows.labels)[rows.observed]
        y = known.astype(int).to_numpy() if known.notna().all() and known.nunique() == 2 else None
    write_report(model, X, path, y=y)


def _draw(model: Any, rows: Rows, path: str) -> None:
    """Draw the map of rows, colored by their labels."""
    from matplotlib.figure import Figure

    from sktae._files.container import replacing
    from sktae.plot import MapDisplay

    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    labels = None if rows.labels is None else rows.labels[rows.observed].to_numpy()
    MapDisplay.from_estimator(model, rows.X[rows.observed], labels, ax=figure.subplots())
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.rpartition(".")[2].lower(), dpi=150)
