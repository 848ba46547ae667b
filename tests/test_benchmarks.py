"""The benchmarks run, on tables so small that their numbers mean nothing, and make the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
OPTIONS = {
    "fit_speed": [],
    "fit_gallery": [],
    "fit_short": [],
    "score_speed": [],
    "search_speed": [],
    "scaling": [],
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


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path, module):
    """Each script writes its table with all facts, prints it, and the page shows it."""
    commands = [
        [f"{BENCHMARKS}/{name}.py", "--tiny", "--output", f"{tmp_path}/{name}.csv", *options]
        for name, options in OPTIONS.items()
    ]
    path = os.pathsep.join([str(BENCHMARKS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(commands)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in OPTIONS:
        found = pd.read_csv(tmp_path / f"{name}.csv")
        assert {"setting", "contestant", "reference", "share", *FACTS} <= set(found)
        numbers = found[["wall_median", "wall_min", "wall_ratio"]]
        assert (numbers > 0).all(axis=None), name
        assert (found.wall_ratio[found.contestant == found.reference] == 1).all()
        assert f"Written to {tmp_path}/{name}.csv" in done.stdout
    module("render").render(tmp_path / "page", tmp_path)
    text = (tmp_path / "page" / "tables.md").read_text()
    assert "No results" not in text
    assert all(setting in text for setting in found.setting)
    assert (tmp_path / "page" / "fit_speed.png").stat().st_size > 10_000


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
    assert (tmp_path / "tables.md").read_text().count("No results are kept yet.") == len(OPTIONS)


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
