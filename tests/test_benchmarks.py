"""The benchmarks run, on tables so small that their numbers mean nothing, and make the page."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
OPTIONS = {
    "fit_speed": [],
    "fit_gallery": [],
    "fit_short": [],
    "sequence_speed": [],
    "image_speed": [],
    "score_speed": [],
    "search_speed": [],
    "scaling": [],
    "series_scaling": [],
    "gpu": ["--device", "cpu"],
}
# All in one process, since its imports take longer than most of what follows.
DRIVER = """
import json, runpy, sys
for command in json.loads(sys.argv[1]):
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")
"""
FACTS = ["cpu", "cores", "commit", "date", "torch", "scikit-learn", "skorch", "pyod"]


@pytest.fixture
def module(monkeypatch):
    """Import a module of the benchmarks by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return lambda name: __import__(name)


def run(*commands):
    """Run scripts of the benchmarks in a process of their own; return what they print."""
    commands = [[f"{BENCHMARKS}/{name}.py", "--tiny", *options] for name, *options in commands]
    path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path, module):
    """Each script writes its table with all facts, prints it, and the page shows it."""
    printed = run(
        *([name, "--output", f"{tmp_path}/{name}.csv", *more] for name, more in OPTIONS.items())
    )
    for name in OPTIONS:
        found = pd.read_csv(tmp_path / f"{name}.csv")
        assert {"setting", "contestant", "reference", "share", *FACTS} <= set(found)
        numbers = found[["wall_median", "wall_min", "wall_ratio"]]
        assert (numbers > 0).all(axis=None), name
        assert (found.wall_ratio[found.contestant == found.reference] == 1).all()
        assert f"Written to {tmp_path}/{name}.csv" in printed
    module("render").render(tmp_path / "page", tmp_path)
    text = (tmp_path / "page" / "tables.md").read_text()
    assert text.count("No results") == 5  # those on quality, which are below
    assert all(setting in text for setting in found.setting)
    assert (tmp_path / "page" / "fit_speed.png").stat().st_size > 10_000


@pytest.mark.slow
def test_causes_told_apart(tmp_path, module):
    """All models are measured with all seeds; the page shows them."""
    path = tmp_path / "disentangling.csv"
    assert f"Written to {path}" in run(["disentangling", "--output", str(path)])
    found = pd.read_csv(path)
    assert {"model", "seed", "gap", "r2", *FACTS} <= set(found)
    assert not found.duplicated(["model", "seed"]).any()
    assert found.gap.between(0, 1).all()
    module("render").render(tmp_path / "page", tmp_path)
    text = (tmp_path / "page" / "tables.md").read_text()
    assert "| DisentangledAutoencoder, beta=4 | " in text


@pytest.fixture
def tables(tmp_path):
    """Write two small sets, and what is published of them."""
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        X, y = rng.standard_normal((100, 4)), np.repeat([0, 1], [90, 10])
        X[y == 1] += 2
        np.savez(tmp_path / f"{name}.npz", X=X, y=y)
    for setting in ("semi", "unsup"):
        published = pd.DataFrame({"KNN": [90.5, 80.0], "VAE": [70.0, 60.0]}, index=["one", "two"])
        published.to_csv(tmp_path / f"published_auroc_{setting}.csv")
    return tmp_path


@pytest.mark.slow
def test_quality_on_tables(tables, module):
    """All detectors are measured on all sets, and so are the variants; the page shows them."""
    files = [tables / f"tabular_{name}.csv" for name in ("quality", "ablation")]
    options = ["--data", str(tables), "--peer-seeds", "0", "--output"]
    printed = run(
        ["tabular_quality", *options, str(files[0])],
        ["tabular_quality", *options, str(files[1]), "--ablation"],
    )
    assert printed.count("dte, unsup") == 2
    found, variants = (module("tabular_summary").read(path) for path in files)
    keys = module("tabular_quality").KEYS
    assert {*keys, "auroc", "ap", "fit_seconds", "score_seconds", *FACTS} <= set(found)
    assert not found.duplicated(keys).any()
    assert (found.groupby(["detector", "told"]).size() % 4 == 0).all()
    assert found.auroc.between(0, 100).all()
    assert set(found.told) == {"told", "untold", "", "published"}
    assert {label for label, _ in module("tabular_ablation").VARIANTS} < set(variants.detector)
    module("render").render(tables / "page", tables)
    text = (tables / "page" / "tables.md").read_text()
    assert "| AutoencoderEnsemble, told | " in text
    assert (tables / "page" / "tabular_quality.png").stat().st_size > 10_000


@pytest.mark.slow
def test_quality_on_series(tmp_path, module):
    """Detectors are measured on series of both kinds; the page shows them beside published ones."""
    rng = np.random.default_rng(0)
    rows = []
    for kind, n_channels in (("uni", 1), ("multi", 2)):
        X = np.sin(np.arange(400)[:, np.newaxis] / 5 + np.arange(n_channels))
        X += 0.1 * rng.normal(size=X.shape)
        X[300:320] = 0
        y = (np.arange(400) // 20 == 15).astype(int)
        np.savez(tmp_path / f"{kind}.npz", X=X, y=y)
        rows.append((f"{kind}.npz", kind, f"1_{kind}_a", 200, 20))
        published = pd.DataFrame({"LOF": [0.4]}, index=[f"1_{kind}_a"])
        published.to_csv(tmp_path / f"published_vus_pr_{kind}.csv")
    columns = ["file", "kind", "name", "train_len", "vus_window"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    path = tmp_path / "series_quality.csv"
    drawn = tmp_path / "series_quality.png"
    options = ["series_quality", "--data", str(tmp_path)]
    run([*options, "--fits", "whole", "--output", str(path)], [*options, "--picture", str(drawn)])
    found = pd.read_csv(path)
    names = set(module("series_quality").DETECTORS)
    assert names - {"Sub-PCA", "Sub-IForest", "PyOD AutoEncoder"} <= set(found.detector)
    assert {"vus_pr", "vus_roc", "seconds", *FACTS} <= set(found)
    assert found.vus_pr.between(0, 1).all()
    module("render").render(tmp_path / "page", tmp_path)
    text = (tmp_path / "page" / "tables.md").read_text()
    assert "**Series of several channels, whole**" in text
    assert "| LOF | 0.400 | 1 |" in text
    assert (tmp_path / "page" / drawn.name).stat().st_size > 10_000


def test_results_on_tables_can_be_made_in_parts(module, tmp_path):
    """Results take the place of those of the same detector on the same set, and of no others."""
    quality, path = module("tabular_quality"), tmp_path / "results.csv"

    def rows(detectors, sets, seeds, auroc):
        for detector, name, seed in itertools.product(detectors, sets, seeds):
            values = ("dte", "semi", name, detector, "", seed)
            yield {**dict(zip(quality.KEYS, values, strict=True)), "auroc": auroc, "commit": "1e5"}

    quality.store(list(rows("AB", ["one", "two"], [0, 1], 50.0)), path)
    quality.store(list(rows("A", ["two"], [0], 60.0)), path)
    found = module("tabular_summary").read(path)
    assert set(found.commit) == {"1e5"}  # which is no number
    new = (found.detector == "A") & (found.set == "two")
    assert list(found.auroc[new]) == [60]
    assert list(found.auroc[~new]) == [50] * 6


def test_ranks_and_places_on_tables(module):
    """Seeds are averaged first; a place is among the published ones, and ties share theirs."""
    columns = ["detector", "told", "set", "seed", "auroc"]
    rows = [
        ("A", "untold", "one", 0, 80.0),
        ("A", "untold", "one", 1, 90.0),
        ("A", "untold", "two", 0, 65.0),
        ("B", "", "one", 0, 70.0),
        ("B", "", "two", 0, 60.0),
        ("P", "published", "one", None, 85.0),
        ("P", "published", "two", None, 55.0),
        ("Q", "published", "one", None, 60.0),
        ("Q", "published", "two", None, 70.0),
    ]
    frame = pd.DataFrame(rows, columns=columns).assign(protocol="dte", setting="semi")
    frame["ap"] = frame["fit_seconds"] = frame.auroc.where(frame.told != "published")
    found = module("tabular_summary").summary(frame).loc["dte", "semi"].droplevel("told")
    assert list(found.index) == ["A", "B", "P", "Q"]
    assert list(found.auroc) == [75, 65, 70, 65]
    assert list(found["rank"])[:2] == [1, 2]
    assert list(found.place) == [1.75, 2, 1.5, 1.5]
    assert found.half_mean["A"] == pytest.approx(75, abs=2)  # a half is one of the two
    assert found.half_sd["A"] == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("setting", ["semi", "unsup"])
@pytest.mark.parametrize("protocol", ["dte", "clean"])
def test_splits_of_tables(module, protocol, setting):
    """Small sets are resampled where the protocol says so, and large ones are cut."""
    split = module("tabular_quality").split
    X, y = np.arange(100)[:, np.newaxis], np.repeat([0, 1], [90, 10])
    part = split(X, y, protocol, setting, 0)
    n_rows = len(part.test) + (len(part.train) if setting == "semi" else 0)
    assert n_rows == (1000 if protocol == "dte" else 100)
    assert np.array_equal(part.labels, part.test[:, 0] >= 90)
    assert (part.train < 90).all() == (setting == "semi")
    assert (len(np.unique(part.train)) == len(part.train)) == (protocol == "clean")
    large = split(np.zeros((60_000, 1)), np.arange(60_000) % 5 == 0, protocol, setting, 0)
    assert (len(large.train), len(large.test)) == (10_000, 20_000)


@pytest.mark.slow
def test_quality_of_small_codes(tmp_path, module):
    """All models are measured on both kinds of pixels; the page shows them."""
    path = tmp_path / "reduction_quality.csv"
    assert f"Written to {path}" in run(["reduction_quality", "--output", str(path)])
    found, keys = pd.read_csv(path), ["pixels", "model", "n_components", "split"]
    assert {*keys, "r2", "accuracy", "fit_seconds", *FACTS} <= set(found)
    assert not found.duplicated(keys).any()
    assert found.groupby("model").pixels.nunique().eq(2).all()
    assert found.r2.max() < 100
    assert found.accuracy.between(0, 100).all()
    module("render").render(tmp_path / "page", tmp_path)
    text = (tmp_path / "page" / "tables.md").read_text()
    assert "**R² / accuracy, pixels standardised**" in text
    assert text.count("| PCA | ") == 2


def test_ratios_are_taken_within_rounds(module):
    """A machine that slows down for a round changes no ratio; a share is scaled up."""
    timing = module("timing")
    laps = {
        "reference": [timing.Lap(t, t) for t in (1.0, 1.0, 5.0)],
        "other": [timing.Lap(t, t) for t in (0.2, 0.2, 1.0)],
    }
    _, row = timing.rows_of("a setting", laps, "reference", {"other": 0.1})
    assert row["wall_median"] == row["wall_min"] == pytest.approx(2.0)
    assert row["wall_ratio"] == row["cpu_ratio"] == pytest.approx(2.0)


def test_contestants_take_turns(module):
    """Round after round, never one contestant twice in a row."""
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    laps = module("timing").interleaved(runs, 2)
    assert order == list("abcabc")
    assert {name: len(own) for name, own in laps.items()} == {"a": 2, "b": 2, "c": 2}


def test_missing_contestants_are_named(module, capsys):
    """What is not installed is left out, with a line that says so."""
    found = module("timing").installed({"here": 1, "there": 2}, {"there": "no_such_package"})
    assert found == {"here": 1}
    assert capsys.readouterr().out == "there is left out: no_such_package is not installed.\n"


def test_a_rise_of_memory_is_seen(module):
    """Memory that is held for a moment counts, memory that was there before does not."""
    timing = module("timing")

    def run():
        timing.np.ones(4_000_000)

    kept = timing.np.ones(4_000_000)
    assert 25 < timing.memory_rise(run) < 60
    assert timing.memory_rise(lambda: None) < 15
    del kept


def test_the_page_needs_no_results(module, tmp_path):
    """Where nothing has been measured, the page says so."""
    module("render").render(tmp_path, tmp_path / "nowhere")
    text = (tmp_path / "tables.md").read_text()
    assert text.count("No results are kept yet.") == len(OPTIONS) + 5


def test_a_worker_has_a_process_of_its_own(tmp_path):
    """What a worker finds there comes back."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, timing\n"
        "def worker(number):\n"
        "    return [number + 1, os.getpid()]\n"
        "args = timing.arguments('How?')\n"
        "if not timing.served(args, worker):\n"
        "    found, pid = timing.child(args, worker, number=1)\n"
        "    assert pid != os.getpid()\n"
        "    print('found', found)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "found 2\n"
