"""The command line: what it writes, what it says, and what it refuses."""

import gzip
import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from shared import every
from typer.testing import CliRunner

import sktae
from sktae import DenoisingAutoencoder, all_estimators, citation, load
from sktae._cli import tables
from sktae._cli.console import Console
from sktae.inputs.tabular import Tabular
from sktae_cli import app

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "command-line.md"
FAST = ["--set", "max_steps=20", "--set", "calibration=none"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test has a folder of its own, and works in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table():
    """A table with an identifier, a category, a date, missing values, and one outlier in row 7."""
    rng = np.random.default_rng(0)
    wage = rng.normal(size=80)
    table = pd.DataFrame(
        {
            "id": [f"r{n}" for n in range(80)],
            "job": rng.choice(["nurse", "driver"], 80),
            "wage": wage,
            "tax": wage / 4 + 0.01 * rng.normal(size=80),
            "since": "2026-01-05",
            "bad": 0,
        }
    )
    table.loc[3, "wage"], table.loc[5, "job"] = np.nan, None
    table.loc[7, ["tax", "bad"]] = 30.0, 1
    table.to_csv("data.csv", index=False)
    return table


def run(*args, code=0, **kwargs):
    """Run a command, and check its exit code; an error is one sentence."""
    result = CliRunner().invoke(app, list(map(str, args)), **kwargs)
    assert result.exit_code == code, result.output
    if code == 1:
        assert re.search(r"(^|\n)Error: [^\n]+\n\Z", result.stderr), result.stderr
    return result


def error(*args, code=1, **kwargs):
    """Return what a command that fails says."""
    return " ".join(run(*args, code=code, **kwargs).stderr.split())


def test_detect(table):
    """Results are those of the library, in the order of rows, beside what names them."""
    args = ["detect", "data.csv", "--index", "id", "--label", "bad", "--out", "scores.csv"]
    args += ["--alarms", "alarms.csv"]
    said = run(*args, *FAST[:2], "--seed", 3, "--contamination", 0.02).stderr
    found = pd.read_csv("scores.csv")
    reasons = [f"reason_{n}" for n in (1, 2, 3)]
    assert list(found) == ["id", "score", "p_value", "outlier", *reasons]
    assert found["id"].tolist() == table["id"].tolist()
    model = DenoisingAutoencoder(max_steps=20, random_state=3, contamination=0.02)
    X = pd.read_csv("data.csv")[["job", "wage", "tax"]]
    np.testing.assert_allclose(found["score"], model.fit(X).score_samples(X), rtol=1e-9)
    np.testing.assert_allclose(found["p_value"], model.p_values(X))
    assert found["outlier"].tolist() == (model.predict(X) == -1).tolist()
    assert found.loc[7, "reason_1"] == "tax=30"
    alarms = found[found["outlier"]].sort_values("score").drop(columns="outlier")
    alarms.insert(0, "row", alarms.index)
    pd.testing.assert_frame_equal(pd.read_csv("alarms.csv"), alarms.reset_index(drop=True))
    assert found.loc[~found["outlier"], reasons].isna().all(axis=None)
    for part in ("'since' holds one date alone", "row 7, id r7: score", "tax=30", "AUROC 1.000"):
        assert part in said


def test_fit_score_explain(table):
    """A saved model judges the columns of its fit, whatever others there are, in any order."""
    run("fit", "data.csv", "--columns", "job,wage", "--columns", "tax", *FAST, "--out", "m.sktae")
    first, new = np.arange(80) < 70, table[::-1]
    new = new.assign(job=new["job"].where(first, 7), wage=new["wage"].where(first, "none at all"))
    new.to_csv("new.csv", index=False)
    said = run("score", "m.sktae", "new.csv", "--label", "bad", "--out", "s.csv").stderr
    assert "10 of its values are none, such as 'none at all'" in said
    scores = pd.read_csv("s.csv")["score"]
    assert scores.idxmin() == 72
    known = load("m.sktae").score_samples(pd.read_csv("data.csv")[["job", "wage", "tax"]])
    np.testing.assert_allclose(scores[:70], known[::-1][:70])
    run("explain", "m.sktae", "new.csv", "--index", "id", "--out", "e.csv")
    contributions = pd.read_csv("e.csv", index_col="id")
    assert list(contributions) == ["job", "wage", "tax"]
    np.testing.assert_allclose(contributions.sum(axis=1), -scores)
    assert "lacks column 'tax'" in error("score", "m.sktae", "-", input="job,wage\na,2\n")


def test_what_a_model_remembers(table):
    """Columns that named rows in the fit, and the one of times, do so again, or others do."""
    table.assign(id=[f"{n:03}" for n in range(80)]).to_csv("data.csv", index=False)
    args = ["data.csv", "--index", "id", "--drop", "since,bad", *FAST]
    run("fit", *args, "--out", "m.sktae")
    run("score", "m.sktae", "data.csv", "--out", "s.csv")
    run("explain", "m.sktae", "data.csv", "--out", "e.csv")
    run("report", "m.sktae", "data.csv", "--out", "r.html")
    assert '"079"' in Path("r.html").read_text()
    for file in ("s.csv", "e.csv"):
        assert pd.read_csv(file, dtype={"id": str})["id"].tolist()[:2] == ["000", "001"]
    run("score", "m.sktae", "data.csv", "--index", "bad", "--out", "s.csv")
    assert "id" not in pd.read_csv("s.csv")
    table.drop(columns="id").to_csv("data.csv", index=False)
    said = run("score", "m.sktae", "data.csv", "--out", "s.csv").stderr
    assert "lacks column 'id', which named the rows of the fit" in said

    table.assign(t=np.arange(80) / 2).to_csv("data.csv", index=False)
    run("fit", "data.csv", "--time", "t", "--columns", "wage,tax", *SHORT, "--out", "m.sktae")
    run("score", "m.sktae", "data.csv", "--out", "s.csv")
    assert pd.read_csv("s.csv")["t"].tolist() == (np.arange(80) / 2).tolist()


@every
def test_every_estimator(E, table):
    """Each estimator of tables detects, and others say in a sentence why they do not."""
    fits = isinstance(E().inputs(), Tabular)
    args = ["detect", "data.csv", "--drop", "id", "--estimator", E.__name__, "--out", "s.csv"]
    run(*args, "--set", "max_steps=1", "--set", "calibration=none", code=0 if fits else 1)
    assert Path("s.csv").exists() == fits


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "has no rows"),
        ("a,b,a\n1,2,3\n", "Column 'a' occurs twice"),
        ("a,b\n1,2,3\n", "no table that can be read"),
        ("a,b\n1,2\n1,2,3\n", "no table that can be read"),
        ("when\n2026-01-01\n2026-01-01\n", "No column is left to learn from"),
        ("a,b\n1,inf\n2,3\n", "contains infinity"),
        ("a\n,\n", "No column is left to learn from"),
        ('a\n"\n', "no table that can be read"),
        (b"na\xefve\n1\n", "not encoded as UTF-8"),
    ],
)
def test_hostile_files(content, message):
    """What cannot be read is named in one sentence, and nothing is written."""
    content = content if isinstance(content, bytes) else content.encode()
    Path("data.csv").write_bytes(content)
    assert message in error("detect", "data.csv", *FAST, "--out", "s.csv")
    assert not Path("s.csv").exists()


def test_files_as_people_write_them(table):
    """Marks, separators, quotes, thousands and words among numbers are read as they are meant."""
    lines = ['\ufeff"größe; in m";wage;gap', *(f"{n % 7},5;{n};" for n in range(29)), ";;"]
    Path("data.csv").write_bytes("\r\n".join(lines).encode())
    said = run("detect", "data.csv", *FAST, "--out", "s.csv").stderr
    assert "Column 'wage' counts the rows" in said
    assert "Column 'gap' has no value" in said
    assert pd.read_csv("s.csv")["score"].isna().tolist() == [False] * 29 + [True]

    money = ['"€1,500.5"', "-$2.5", "-3 EUR", "GBP 4"]
    numbers = ["2.5,INV-1017", '"1,500.5",SKU 8']  # the second ones are codes
    with gzip.open("data.csv.gz", "wt") as file:
        file.write("a,b,name,money\n")
        file.writelines(f"{numbers[n % 2]},name {n},{money[n % 4]}\n" for n in range(60))
        file.write("?,y,name,5\n")
    said = run("detect", "data.csv.gz", *FAST, "--json").stdout
    assert json.loads(said)["columns"] == ["a", "b", "money"]
    assert "'a' holds numbers, but 1 of its values are none, such as '?'" in said
    assert "'b' holds" not in said
    assert "'name' differs in nearly every row" in said
    assert "'money'" not in said.replace("'money']", "")
    said = run("detect", "data.csv.gz", *FAST, "--json", "--columns", "a,name").stdout
    assert json.loads(said)["columns"] == ["a", "name"]


@pytest.fixture
def series():
    """A series of one channel, with a fault from row 300 to 305."""
    flow = np.sin(np.arange(400) / 4)
    flow[300:306] = 0.2
    time = pd.date_range("2026-01-01", periods=400, freq="h").astype(str)
    frame = pd.DataFrame({"flow": flow, "time": time, "bad": 0})
    frame.loc[300:305, "bad"] = 1
    frame.to_csv("series.csv", index=False)
    return frame


SHORT = ["--set", "window_size=30", "--set", "estimator__max_steps=20", "--set", "n_scales=1"]


def test_series(series):
    """Dates that rise make rows a series, of which events are listed; --no-time refuses."""
    args = ["--label", "bad", *SHORT, "--json"]
    result = run("detect", "series.csv", *args, "--out", "s.csv")
    summary = json.loads(result.stdout)
    assert "rows are a time series" in summary["notes"][0]
    assert (summary["estimator"], summary["columns"]) == ("WindowedDetector", ["flow"])
    assert summary["auroc"] > 0.9
    assert any(event["start"][:10] == "2026-01-13" for event in summary["events"])
    found = pd.read_csv("s.csv")
    assert list(found)[:3] == ["time", "score", "outlier"]
    assert found["time"].tolist() == series["time"].tolist()

    run("fit", "series.csv", "--drop", "bad", *SHORT, "--out", "m.sktae")
    run("score", "m.sktae", "series.csv", "--out", "again.csv", "--alarms", "events.csv")
    pd.testing.assert_frame_equal(found, pd.read_csv("again.csv"))
    events = pd.read_csv("events.csv")
    assert events["start"].tolist() == [event["start"] for event in summary["events"]]
    assert set(events["channels"]) == {"flow"}
    said = run("detect", "series.csv", "--estimator", "PCA", *SHORT[:2], "--json").stdout
    assert any(event["start"][:10] == "2026-01-13" for event in json.loads(said)["events"])
    said = run("detect", "series.csv", "--no-time", *FAST, "--json").stdout
    assert json.loads(said)["estimator"] == "DenoisingAutoencoder"


def test_several_series(series):
    """A group tells series apart, and times rise within each; without times, rows are in order."""
    pair = pd.concat([series.assign(pump="a"), series.assign(pump="b")])
    pair.to_csv("pair.csv", index=False)
    args = ["--group", "pump", "--drop", "bad", *SHORT, "--out", "s.csv"]
    assert "rows are a time series" in run("detect", "pair.csv", *args).stderr
    found = pd.read_csv("s.csv")
    assert list(found)[:3] == ["pump", "time", "score"]
    np.testing.assert_allclose(found["score"][:400], found["score"][400:])
    pair.drop(columns="time").to_csv("pair.csv", index=False)
    run("detect", "pair.csv", *args)
    pd.testing.assert_series_equal(pd.read_csv("s.csv")["score"], found["score"])


def test_what_is_a_series(series):
    """Days may come first, and summer may begin; text, and times that fall, are refused."""
    series.assign(flow="a").to_csv("text.csv", index=False)
    said = run("detect", "text.csv", *FAST, "--json").stdout
    assert "'flow' holds no numbers, so rows are judged one by one" in said
    assert "'flow' holds text" in error("detect", "text.csv", "--time", "time")
    day_first = pd.to_datetime(series["time"]).dt.strftime("%d/%m/%Y %H:%M")
    series.assign(time=day_first).to_csv("days.csv", index=False)
    assert "rows are a time series" in run("detect", "days.csv", *SHORT).stderr
    summer = pd.date_range("2026-03-28", periods=400, freq="h", tz="Europe/Berlin").map(str)
    series.assign(time=summer).to_csv("summer.csv", index=False)
    assert "rows are a time series" in run("detect", "summer.csv", *SHORT).stderr
    series[::-1].to_csv("falling.csv", index=False)
    assert "in the order of time" in error("detect", "falling.csv", "--time", "time")
    series.assign(time="soon").to_csv("soon.csv", index=False)
    assert "Row 0 has 'soon' as 'time'" in error("detect", "soon.csv", "--time", "time")


def test_rows_that_are_not_equally_spaced(series):
    """They are resampled, by series, also when a model judges others; a note names the cure."""
    times = pd.date_range("2026-01-01", periods=400, freq="h")
    times_found = times + pd.to_timedelta(np.arange(400) % 7, unit="min")
    series = series.assign(time=times_found, pump="a", id="007")
    late = series.drop(range(100, 160)).assign(pump="b")
    pd.concat([series, late]).to_csv("pair.csv", index=False)
    args = ["--group", "pump", *SHORT, "--label", "bad", "--index", "id"]
    said = run("detect", "pair.csv", *args, "--out", "s.csv").stderr
    assert "or by --resample of sktae" in said
    said = run("fit", "pair.csv", *args, "--resample", "2h", "--out", "m.sktae").stderr
    assert "equally spaced" not in said
    run("score", "m.sktae", "pair.csv", "--label", "bad", "--out", "s.csv")
    found = pd.read_csv("s.csv", parse_dates=["time"])
    assert list(found)[:4] == ["id", "pump", "time", "score"]
    assert found["pump"].tolist() == ["a"] * 200 + ["b"] * 200
    assert found["time"].tolist() == 2 * times[::2].tolist()
    assert found["id"].isna().sum() == 30
    model = load("m.sktae")
    X = pd.read_csv("pair.csv", parse_dates=["time"], index_col="time").groupby("pump", sort=False)
    X = X[["flow"]].resample("2h").mean().reset_index("pump")
    np.testing.assert_allclose(found["score"], model.score_samples(X), rtol=1e-6)
    for rule, code in (("often", 2), ("2h", 1)):
        args = ["--resample", rule, *(["--no-time"] if code == 1 else ["--group", "pump"])]
        assert "--resample" in error("detect", "pair.csv", *args, code=code)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--estimator", "Denoising"], "there is DenoisingAutoencoder"),
        (["--set", "n_components=0"], "'n_components' parameter of DenoisingAutoencoder must be"),
        (["--set", "n_component=1"], "DenoisingAutoencoder has no parameter 'n_component'; it has"),
        (["--set", "n_components"], "takes a name and a value"),
        (
            ["--columns", "wage,tax", "--time", "bad", "--set", "batch_size=8"],
            "WindowedDetector has no parameter 'batch_size'; write estimator__batch_size",
        ),
        (["--contamination", "0.7"], "'contamination' parameter of DenoisingAutoencoder must be"),
        (["--contamination", "0.1", "--false-alarm-rate", "0.1"], "pass one of them"),
        (["--out", "s.xlsx"], "does not say the format of a table"),
        (["--out", "-", "--json"], "cannot both write to stdout"),
        (["--colour", "red"], "No such option"),
    ],
)
def test_mistakes_in_commands(args, message, table):
    """They have the exit code 2, and are found before anything is trained."""
    said = error("detect", "data.csv", *args, code=2)
    assert message in said
    assert "Training" not in said


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["missing.csv"], "There is no file 'missing.csv'"),
        (["data.csv", "--drop", "wages"], "--drop: there is no column 'wages'; the table has 'id'"),
        (["data.csv", "--label", "job"], "Labels must be 1 for outliers and 0 for normal rows"),
        (["data.csv", "--out", "none/s.csv"], "The folder 'none' does not exist"),
    ],
)
def test_mistakes_in_input(args, message, table):
    """They have the exit code 1; --debug raises the error itself."""
    assert message in error("detect", *args, *FAST)
    assert CliRunner().invoke(app, ["detect", *args, *FAST, "--debug"]).exception is not None


def test_parameters_as_text(table):
    """A value is a number, a tuple, a word, or names of columns."""
    settings = {"hidden_layer_sizes": "(8, 4)", "training_data": "clean", "weight_decay": "1e-3"}
    settings |= {"max_epochs": "None", "early_stopping": "true", "categorical_features": "job,bad"}
    args = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    run("fit", "data.csv", "--drop", "id", *args, *FAST, "--out", "m.sktae")
    values = load("m.sktae").get_params()
    expected = [(8, 4), "clean", 1e-3, None, True, ["job", "bad"]]
    assert [values[name] for name in settings] == expected


def test_labels_that_are_learned(table):
    """With use_labels, known outliers are told to the fit, and rows without a label are not."""
    table.assign(bad=table["bad"].where(table.index != 9)).to_csv("data.csv", index=False)
    args = ["--drop", "id", "--label", "bad", *FAST, "--json"]
    summary = json.loads(run("detect", "data.csv", *args, "--set", "use_labels=true").stdout)
    assert (summary["labeled_outliers"], summary["auroc"]) == (1, 1.0)


def test_streams(table, monkeypatch):
    """Results alone are on standard output, progress is elsewhere, and --quiet says nothing."""
    text = Path("data.csv").read_text()
    result = run("detect", "-", "--drop", "id,bad", *FAST, "--quiet", input=text)
    assert len(result.stdout.splitlines()) == 81
    assert result.stderr == ""
    monkeypatch.setattr(Console, "shows_progress", True)
    result = run("detect", "-", "--drop", "id,bad", *FAST, "--json", input=text)
    assert "20/20" in result.stderr
    summary = json.loads(result.stdout)
    assert summary["most_unusual"][0]["row"] == 7
    assert summary["most_unusual"][0]["reasons"][0] == "tax=30"


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_other_formats(ending, table):
    """Parquet and Arrow hold the same table, and the same results."""
    pytest.importorskip("pyarrow")
    tables.write(table, f"data.{ending}")
    for data in (f"data.{ending}", "data.csv"):
        run("detect", data, "--drop", "id", *FAST, "--out", f"s-{data}")
    found, expected = tables.read(f"s-data.{ending}"), tables.read("s-data.csv")
    np.testing.assert_allclose(found["score"], expected["score"])


def test_without_pyarrow(table, monkeypatch):
    """What Parquet needs is said."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr(pd, "read_parquet", _fails(ImportError("pyarrow")))
    Path("data.parquet").touch()
    assert "'data.parquet' needs pyarrow" in error("detect", "data.parquet")


def test_nothing_is_half_written(table, monkeypatch):
    """If results cannot be written, those of before stay, and nothing else is left."""
    Path("s.csv").write_text("before")
    monkeypatch.setattr(pd.DataFrame, "to_csv", _fails(OSError("the disk is full")))
    said = error("detect", "data.csv", *FAST, "--out", "s.csv")
    assert "Error: the disk is full" in said
    assert Path("s.csv").read_text() == "before"
    assert sorted(path.name for path in Path().iterdir()) == ["data.csv", "s.csv"]


def _fails(exception):
    def raise_it(*args, **kwargs):
        raise exception

    return raise_it


def test_map(table):
    """Codes have a row for each row, and a picture is drawn."""
    args = ["--drop", "id,since", "--label", "bad", "--set", "max_steps=5"]
    run("map", "data.csv", *args, "--out", "codes.csv", "--picture", "map.png")
    assert pd.read_csv("codes.csv").shape == (80, 2)
    assert Path("map.png").read_bytes().startswith(b"\x89PNG")
    said = error("map", "data.csv", *args, "--picture", "map.doc", code=2)
    assert "'map.doc' must end in .png, .svg or .pdf" in said


def test_report(table):
    """The page of a model, and that of detect, are those of the library."""
    run("fit", "data.csv", "--drop", "id,bad", *FAST, "--out", "m.sktae")
    run("report", "m.sktae", "data.csv", "--label", "bad", "--out", "r.html")
    run("detect", "data.csv", "--index", "id", "--label", "bad", *FAST, "--report", "d.html")
    for page in ("r.html", "d.html"):
        assert Path(page).read_text().lower().startswith("<!doctype html>")


def test_list_and_cite():
    """They say what the library says, and list and help do so without importing it."""
    names = json.loads(run("list", "--json").stdout)
    assert [*(E.__name__ for E in all_estimators()), "WindowedDetector"] == list(names)
    assert all(getattr(sktae, name).__doc__.startswith(line) for name, line in names.items())
    assert len(run("list").stdout.splitlines()) == len(names)
    cited = run("cite", "VariationalAutoencoder").stdout
    assert cited.strip() == citation(sktae.VariationalAutoencoder)
    program = (
        "import sys, sktae_cli\n"
        "for args in (['list'], ['detect', '--help']):\n"
        "    sktae_cli.app(args, standalone_mode=False)\n"
        "assert not {'torch', 'sktae', 'pandas'} & set(sys.modules)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=PAGE.parents[2]
    )
    assert process.returncode == 0, process.stderr
    assert "DenoisingAutoencoder" in process.stdout


def test_the_page_of_the_guide():
    """All commands that it shows run, and write the files that they name."""
    lines = re.findall(r"^\$ (.*)", PAGE.read_text(), flags=re.MULTILINE)
    for program, *args in map(shlex.split, lines):
        if program == "python":
            exec(args[1], {})
            continue
        assert program == "sktae"
        if args[0] in ("detect", "fit", "map"):  # quickly
            prefix = "estimator__" * any(name.endswith("flow.csv") for name in args)
            args += ["--set", f"{prefix}max_steps=20"]
        run(*args)
        for option, name in itertools.pairwise(args):
            if option in ("--out", "--picture", "--report"):
                assert Path(name).stat().st_size > 0
    assert len(lines) > 8
