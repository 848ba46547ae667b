"""The command line, `sktae`: its commands, options and help.

It is outside of the package, because importing any part of `sktae` imports torch, which takes
seconds, and neither help nor `sktae list` should. What the commands do is in `sktae._cli`.
"""

import ast
import importlib.util
import json as json_format
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Autoencoders for tables and time series. Each command has its own --help.",
    epilog="Exit codes: 0 if all went well, 1 if the input is bad, 2 if the command is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A table: .csv, .tsv, also .gz; .parquet, .arrow or .feather. - is CSV from stdin.",
    ),
]
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A file that `sktae fit` or sktae.save has written.")
]
Out = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Where results go; the name says the format. Without it, or for -, CSV to stdout.",
    ),
]
Report = Annotated[
    str | None, typer.Option(metavar="FILE", help="Where to write a report in HTML.")
]
Alarms = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Where to write the outliers alone, the most unusual first; of a series, its events.",
    ),
]
Estimator = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="One of `sktae list`. For a time series, it is the one inside of WindowedDetector, "
        "or PCA, which is fast.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A parameter of the estimator, as n_components=4. For a time series, one of "
        "WindowedDetector, or estimator__n_components=4. May be repeated.",
    ),
]
Seed = Annotated[int, typer.Option(help="random_state: the same number gives the same result.")]
Rate = Annotated[
    float | None,
    typer.Option(help="Share of new normal rows that are flagged. The default is 0.01."),
]
Contamination = Annotated[
    float | None,
    typer.Option(help="Share of the rows of the fit that are flagged, instead of a rate."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="The only columns to learn from. May be repeated."),
]
Drop = Annotated[
    list[str] | None, typer.Option(metavar="A,B", help="Columns to leave out. May be repeated.")
]
Index = Annotated[
    list[str] | None,
    typer.Option(metavar="A,B", help="Columns that name rows: left out, and beside the results."),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column that says which rows are outliers, by 1 and 0, or -1 and 1 with -1 for "
        "outliers. It is left out, and the summary says how well they are found.",
    ),
]
Time = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Column of times: the rows are a time series. Without it, a column is taken that "
        "holds dates, each later than the one before, if all others are numbers.",
    ),
]
NoTime = Annotated[
    bool, typer.Option("--no-time", help="The rows are no time series, whatever columns hold.")
]
Group = Annotated[
    str | None,
    typer.Option(metavar="COLUMN", help="Column that names the time series of each row."),
]
Resample = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Make the rows of a time series equally spaced, such as 10min or 1h apart: numbers "
        "become means, times without rows are missing. The model remembers it.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write a summary to stdout, as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Write only errors to stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")]


@app.command()
def detect(
    data: Data,
    out: Out = None,
    alarms: Alarms = None,
    report: Report = None,
    estimator: Estimator = None,
    set_: Set = None,
    seed: Seed = 0,
    false_alarm_rate: Rate = None,
    contamination: Contamination = None,
    columns: Columns = None,
    drop: Drop = None,
    index: Index = None,
    label: Label = None,
    time: Time = None,
    no_time: NoTime = False,
    group: Group = None,
    resample: Resample = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find unusual rows of a table, or times of a series.

    The result has a row for each row of DATA, in their order: the score, the lower the more
    unusual; the p-value; whether the row is an outlier; and for outliers, up to three reasons. The
    default estimator is DenoisingAutoencoder. If many rows are outliers, pass
    --set training_data=contaminated.
    """
    _run("detect", locals())


@app.command()
def fit(
    data: Data,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write the model, such as model.sktae.")
    ],
    estimator: Estimator = None,
    set_: Set = None,
    seed: Seed = 0,
    false_alarm_rate: Rate = None,
    contamination: Contamination = None,
    columns: Columns = None,
    drop: Drop = None,
    index: Index = None,
    label: Label = None,
    time: Time = None,
    no_time: NoTime = False,
    group: Group = None,
    resample: Resample = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train an estimator that judges new rows.

    The default estimator is MaskedAutoencoder. If all rows are normal, pass
    --set training_data=clean.
    """
    _run("fit", locals())


@app.command()
def score(
    model: Model,
    data: Data,
    out: Out = None,
    alarms: Alarms = None,
    index: Index = None,
    label: Label = None,
    time: Time = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Judge new rows by a model.

    The result is that of `sktae detect`. Columns are found by name; others than those of the fit
    are ignored.
    """
    _run("score", locals())


@app.command()
def explain(
    model: Model,
    data: Data,
    out: Out = None,
    index: Index = None,
    time: Time = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what each column adds to the anomaly of each row.

    Contributions of a row add up to minus its score.
    """
    _run("explain", locals())


@app.command("map")
def map_(
    data: Data,
    out: Out = None,
    picture: Annotated[
        str | None, typer.Option(metavar="FILE", help="A .png, .svg or .pdf.")
    ] = None,
    estimator: Estimator = None,
    set_: Set = None,
    seed: Seed = 0,
    columns: Columns = None,
    drop: Drop = None,
    index: Index = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column that colors the picture; it is left out."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Encode rows as points of a map, similar rows together.

    The default estimator is NeighborAutoencoder. Another number of components is set by
    --set n_components=8.
    """
    _run("map", locals())


@app.command()
def report(
    model: Model,
    data: Data,
    out: Annotated[
        str, typer.Option(metavar="FILE", help="Where to write the page, such as report.html.")
    ],
    label: Label = None,
    time: Time = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a report on rows, judged by a model: one HTML page."""
    _run("report", locals())


@app.command("list")
def list_(
    json: Annotated[bool, typer.Option("--json", help="Write the list as JSON.")] = False,
) -> None:
    """List the estimators, each with one line."""
    lines = _first_lines()
    width = max(map(len, lines))
    text = "\n".join(f"{name:{width}}  {line}" for name, line in lines.items())
    typer.echo(json_format.dumps(lines, indent=2) if json else text)


@app.command()
def cite(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An estimator of `sktae list`.")],
    debug: Debug = False,
) -> None:
    """Print the papers behind an estimator, as BibTeX."""
    _run("cite", locals())


def main() -> None:
    """Run the command that was typed."""
    app(prog_name="sktae")


def _run(command: str, options: dict[str, Any]) -> None:
    """Run a command of `sktae._cli`; of errors, show one sentence."""
    debug, quiet = options.pop("debug"), options.pop("quiet", False)
    try:
        for path in (options.get("model"), options.get("data")):
            if path not in (None, "-") and not Path(path).is_file():
                raise FileNotFoundError(f"There is no file {path!r}.")
        if not quiet and "data" in options:
            typer.echo("Loading sktae ...", err=True)
        from sktae._cli import commands  # slow, since it imports torch

        commands.run(command, quiet, options)
    except (typer.BadParameter, BrokenPipeError):  # typer ends quietly where `head` has enough
        raise
    except Exception as error:
        if debug:
            raise
        sentence = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ValueError | TypeError | OSError | ImportError):
            sentence = f"{type(error).__name__}: {sentence} (--debug shows where it arose.)"
        typer.echo(f"Error: {sentence}", err=True)
        raise typer.Exit(1) from None


def _first_lines() -> dict[str, str]:
    """Return the first line of the documentation of each estimator, read without importing any."""
    spec: Any = importlib.util.find_spec("sktae")
    folder, lines = Path(spec.origin).parent, {}
    for path in [
        *Path(folder, "autoencoders").glob("*.py"),
        Path(folder, "timeseries/detector.py"),
    ]:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Autoencoder", "Detector")):
                lines[node.name] = (ast.get_docstring(node) or "").split("\n")[0]
    return dict(sorted(lines.items()))


if __name__ == "__main__":
    main()
