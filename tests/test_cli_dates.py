"""The command line: columns of dates become columns that can be unusual."""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sktae import load
from sktae._cli.console import Console
from sktae._cli.dates import learned_from, names_of_parts, parts_of
from sktae._cli.rows import rows_to_fit
from sktae_cli import app

FAST = ["--set", "max_steps=200", "--set", "calibration=none"]
LATE = "2026-03-10 03:20:00"


@pytest.fixture(autouse=True)
def orders(tmp_path, monkeypatch):
    """Orders of office hours, shipped within days; one comes at night, one is shipped too early."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2026-01-01", periods=150).repeat(2)
    ordered = pd.Series(days + pd.to_timedelta(rng.uniform(9, 12, 300), unit="h")).dt.floor("s")
    ordered[50] = pd.Timestamp(LATE)
    shipped = (ordered + pd.to_timedelta(rng.uniform(1, 4, 300), unit="D")).dt.floor("D")
    shipped[70] -= pd.Timedelta(days=60)
    table = pd.DataFrame({"ordered": ordered, "shipped": shipped, "price": rng.normal(size=300)})
    table.to_csv("orders.csv", index=False)
    return table


def run(*args, code=0):
    result = CliRunner().invoke(app, list(map(str, args)))
    assert result.exit_code == code, result.output
    return result.stderr


def parts(values, known=None, console=None):
    """Return the parts of one column of dates as a table, and what was learned from it."""
    values = pd.Series(values, name="day")
    known = known or [learned_from(values)]
    return parts_of(values.to_frame(), known, console or Console(True)), known


def test_dates_can_be_unusual(orders):
    """An hour and a date beside another one are reasons; both show as they are written."""
    said = run("detect", "orders.csv", *FAST, "--contamination", 0.03, "--out", "scores.csv")
    assert "'ordered (date)', 'ordered (hour)', 'ordered (weekday)'." in said
    found = pd.read_csv("scores.csv")
    assert found["outlier"][[50, 70]].all()
    reasons = found.filter(like="reason").loc[[50, 70]].to_numpy().tolist()
    assert f"ordered (hour)={LATE}" in reasons[0]
    assert "shipped" in reasons[1][0], reasons[1]
    assert "left out" in run("map", "orders.csv", "--set", "max_steps=20", "--out", "codes.csv")


def test_models_remember_dates(orders):
    """A saved model makes the same columns of any table; a missing column is named."""
    run("fit", "orders.csv", *FAST, "--drop", "price", "--out", "m.sktae")
    model = load("m.sktae")
    names = [f"ordered ({part})" for part in ("date", "hour", "weekday")]
    names += ["shipped (date)", "shipped - ordered (days)"]
    assert [*model.feature_names_in_][:3] == names[:3]
    assert {*names} <= {*model.feature_names_in_}
    run("score", "m.sktae", "orders.csv", "--out", "all.csv")
    every = pd.read_csv("all.csv")["score"]
    X = rows_to_fit(orders, Console(True), drop=["price"]).X
    np.testing.assert_allclose(every, model.score_samples(X), rtol=1e-9)
    few = orders[70:72].assign(ordered=orders["ordered"].dt.strftime("%Y-%m-%dT%H:%M:%S+01:00"))
    few.to_csv("few.csv", index=False)
    run("score", "m.sktae", "few.csv", "--out", "few-scores.csv")
    np.testing.assert_allclose(pd.read_csv("few-scores.csv")["score"], every[70:72], rtol=1e-6)
    run("explain", "m.sktae", "few.csv", "--out", "why.csv")
    assert list(pd.read_csv("why.csv")) == list(model.feature_names_in_)
    run("report", "m.sktae", "orders.csv", "--out", "report.html")
    few.drop(columns="shipped").to_csv("less.csv", index=False)
    assert "lacks column 'shipped'" in run("score", "m.sktae", "less.csv", code=1)


def test_weekdays_beside_declared_categories(orders):
    """Whoever declares categories need not know of weekdays."""
    orders.assign(kind=np.arange(300) % 3).to_csv("kinds.csv", index=False)
    command = ["fit", "kinds.csv", *FAST, "--out", "m.sktae", "--set"]
    for declared in ("categorical_features=kind", "categorical_features=none"):
        run(*command, declared)
        kinds = {c.name: c.kind for c in load("m.sktae")._inputs.columns.columns}
        assert kinds["ordered (weekday)"] == "category"
        assert (kinds["kind"] == "category") == (declared[-4:] == "kind")


def test_later_dates():
    """Usual dates are all alike, also those of the year after the fit; others are told apart."""
    days = pd.date_range("2024-01-01", "2025-01-01").strftime("%Y-%m-%d")
    found, known = parts([*days, "2099-01-01"])  # one that is far away makes none usual
    assert (found["day (date)"][:-1] == 0).all()
    assert found["day (date)"].iloc[-1] == pytest.approx(73.1, abs=0.1)
    dates = ["2015-01-01", "2023-06-01", "2025-05-01", "2025-12-01", "2031-01-01", "2041-01-01"]
    years = parts(dates, known)[0]["day (date)"].to_numpy()
    assert (years[1:4] == 0).all()
    assert years[0] < -7
    assert years[5] - years[4] == pytest.approx(10, abs=0.01)
    console = Console(True)
    parts(dates[-2:], known, console)
    assert "much later than those of the fit" in console.notes[0]


@pytest.mark.parametrize(
    "style", ["%d/%m/%Y %H:%M", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%c", None]
)
def test_ways_of_writing(style):
    """However dates are written, rows that are judged are read as those of the fit."""
    times = pd.Series(pd.date_range("2026-01-01 09:00", periods=400, freq="17h"))
    written = times if style is None else times.dt.strftime(style)
    expected, _ = parts(times)
    found, known = parts(written)
    pd.testing.assert_frame_equal(found, expected)
    few = parts(written[1:3].reset_index(drop=True), known)[0]
    pd.testing.assert_frame_equal(few, expected[1:3].reset_index(drop=True))


def test_values_that_are_no_dates():
    """They count as missing, and a note says so; a column of one date, or of none, has no parts."""
    _, known = parts(pd.date_range("2026-01-01", periods=60))
    console = Console(True)
    found, _ = parts(["2026-01-03", None, "2026-13-45", "10:30"], known, console)
    assert found["day (date)"].notna().tolist() == [True, False, False, False]
    assert "2 of its values are none, such as '2026-13-45'" in console.notes[0]
    with pytest.raises(ValueError, match=r"'day' held dates .* none of its values .* 'soon'"):
        parts(["soon", None], known)
    assert learned_from(pd.Series(["2026-01-03", "2026-01-03", None])) is None
    assert learned_from(pd.Series(["2026-99-03", None])) is None


def test_days_are_cut_where_nothing_happens():
    """Hours about midnight are near each other where nights are busy."""
    rng = np.random.default_rng(0)
    hours = pd.to_timedelta(rng.normal(24, 1.5, 200), unit="h")
    found, known = parts(
        pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(200) // 9, unit="D") + hours
    )
    assert np.ptp(found["day (hour)"]) < 12
    assert parts(["2026-02-01 12:00"], known)[0]["day (hour)"][0] % 24 == 12


def test_names_of_parts():
    """Hours and weekdays are left out where all are as common; a name that is taken is an error."""
    even = pd.Series(pd.date_range("2026-01-01", periods=24 * 28, freq="h"), name="t")
    assert list(names_of_parts([learned_from(even)])) == ["t (date)"]
    table = pd.DataFrame({"t": even, "t (date)": 1.0})
    with pytest.raises(ValueError, match="has the name of a part of a date"):
        rows_to_fit(table, Console(True))
