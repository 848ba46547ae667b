"""The benchmarks run, on tables so small that their numbers mean nothing, and make the page."""

import itertools
import os
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from shared import unless_long

from benchmarks import leaderboard, page
from benchmarks._lib.cases import CASES, summed_up
from benchmarks._lib.charts import series_chart
from benchmarks._lib.measure import Lap, alone, in_turns, memory_rise
from benchmarks._lib.results import PYOD, RESULTS, arguments, read, store
from benchmarks.quality import (
    NAMES,
    ablation,
    categories,
    few_labels,
    imputation,
    maps,
    missing,
    oneclass,
    summaries,
    tabular,
    wide,
)
from benchmarks.quality.__main__ import main as quality
from benchmarks.speed.__main__ import main as speed

FACTS = {"cpu", "cores", "commit", "date", "torch", "scikit-learn", "skorch", "pyod"}


@pytest.fixture
def run(tmp_path, capsys):
    """Return what runs a benchmark and returns its results and the page that shows them."""

    def measured(main, name, *options):
        main([name, *options, "--tiny", "--threads", "1", "--output", str(tmp_path)])
        (path,) = tmp_path.glob(f"*/{name}.csv")
        assert f"Written to {path}." in capsys.readouterr().out
        found = read(path)
        assert set(found) >= FACTS
        text = page.benchmarks(tmp_path)
        assert text.count("No results are kept yet.") == len(CASES) + len(NAMES) - 1
        return found, text

    return measured


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES)[:: unless_long(4, 1)])
def test_each_case_runs(run, name):
    """A case writes the times of all contestants, and the page shows each setting."""
    found, text = run(speed, name)
    assert (found[["wall_median", "wall_min", "wall_ratio"]] > 0).all(axis=None)
    assert (found.wall_ratio[found.contestant == found.baseline] == 1).all()
    assert all(f"| {setting} | " in text for setting in found.setting)


@pytest.mark.slow
def test_disentangling(run):
    """All models are measured; the page shows them."""
    found, text = run(quality, "disentangling")
    assert not found.duplicated(["model", "seed"]).any()
    assert found.gap.between(0, 1).all()
    assert "| DisentangledAutoencoder, beta=4 | " in text


@pytest.mark.slow
def test_sparse(run):
    """All penalties are measured; the page shows them."""
    found, text = run(quality, "sparse")
    assert not found.duplicated(["model", "seed"]).any()
    assert found.active.between(0, 256).all()
    assert "| topk, ordered | " in text


@pytest.mark.slow
def test_swapping(run):
    """All models are measured; the page shows them."""
    found, text = run(quality, "swapping")
    assert not found.duplicated(["model", "seed"]).any()
    assert found[["kept", "taken"]].stack().between(0, 100).all()
    assert "| ContentStyleAutoencoder, beta=4 | " in text


@pytest.mark.slow
def test_sequences(run):
    """Models of numbers and of tokens are measured, each on its own sets; the page shows them."""
    found, text = run(quality, "sequences")
    assert not found.duplicated(["data", "model", "seed"]).any()
    assert found.groupby("data").model.nunique().isin([4, 7]).all()
    assert found.auroc.between(0, 100).all()
    assert "| parallel, 300 steps | " in text


@pytest.mark.slow
def test_small_codes(run):
    """All models are measured on both kinds of pixels; the page shows them."""
    found, text = run(quality, "reduction")
    assert not found.duplicated(["pixels", "model", "n_components", "split"]).any()
    assert found.groupby("model").pixels.nunique().eq(2).all()
    assert found.r2.max() < 100
    assert found.accuracy.between(0, 100).all()
    assert "**R² / accuracy, pixels standardized**" in text
    assert text.count("| PCA | ") == 2


@pytest.mark.slow
def test_maps(run):
    """All models are measured, those with one setting changed in a table of their own."""
    found, text = run(quality, "maps", "--sets", "digits")
    fitted = (name for name in maps.CONTESTANTS if maps.takes_part(name, "digits", 2, seed=0))
    assert set(found.model) == set(fitted)
    assert found.trustworthiness.between(0, 100).all()
    assert "| NeighborAutoencoder | " in text
    assert text.count("| alpha=0.0 | ") == 1


@pytest.mark.slow
def test_codes_of_wide_tables(run):
    """All models are measured; means of columns keep nothing of new rows."""
    found, text = run(quality, "wide", "--sets", "100 x 300")
    assert not found.duplicated(["set", "model", "seed"]).any()
    assert set(found.model) == set(wide.CONTESTANTS)
    assert found.r2[found.model == "column means"].abs().max() < 1e-6
    assert "| rank 5, 100 x 300 | " in text


@pytest.fixture
def tables(tmp_path):
    """Write a small set, and what is published of it; return the options that choose it."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((100, 4)), np.repeat([0, 1], [90, 10])
    X[y == 1] += 2
    np.savez(tmp_path / "one.npz", X=X, y=y)
    for setting in ("semi", "unsup"):
        published = pd.DataFrame({"KNN": [90.5], "VAE": [70.0]}, index=["one"])
        published.to_csv(tmp_path / f"published_auroc_{setting}.csv")
    return "--data", str(tmp_path)


@pytest.mark.slow
def test_detectors_of_tables(run, tables):
    """Detectors are measured in both protocols and settings, ours twice; the page shows them."""
    ours, others = ["Autoencoder", "AutoencoderEnsemble"], ["IsolationForest", "LOF", "OCSVM"]
    found, text = run(quality, "tabular", *tables, "--only", *ours, *others)
    assert not found.duplicated(tabular.KEYS).any()
    measured = found[found.training_data != "published"]
    assert measured.groupby(["detector", "training_data"]).size().to_dict() == {
        **dict.fromkeys(itertools.product(ours, ["given", "unknown"]), 4),
        **{(name, ""): 4 for name in others},
    }
    assert found.auroc.between(0, 100).all()
    assert set(found.detector[found.training_data == "published"]) == {"KNN", "VAE"}
    assert text.count("| AutoencoderEnsemble, given | ") == 4


@pytest.mark.slow
def test_detectors_of_normal_rows(run, tmp_path):
    """Detectors learn from normal rows, ours twice; the page says which ranks differ."""
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        y = np.repeat([0, 1], [30, 10])
        X = rng.standard_normal((80, 3)) + 2 * np.pad(y, (40, 0))[:, np.newaxis]
        np.savez(tmp_path / f"{name}.npz", train=X[:40], test=X[40:], y=y)
    ours, others = ["DenoisingAutoencoder", "Without a network"], ["IsolationForest", "LOF"]
    only = ["--only", *ours, *others]
    found, text = run(quality, "oneclass", "--data", str(tmp_path), *only)
    assert not found.duplicated(oneclass.KEYS).any()
    assert found.groupby("detector").size().to_dict() == {
        **dict.fromkeys(ours, 4),
        **dict.fromkeys(others, 2),
    }
    assert found.auroc.between(50, 100).all()
    assert "| Without a network, given | " in text
    assert "On 2 sets, mean ranks of two of these 6 detectors differ" in text


@pytest.mark.slow
def test_false_alarms(run, tables):
    """All contestants label new rows, of sets with anomalies and of one class."""
    folder = Path(tables[1])
    rows = np.random.default_rng(1).standard_normal((90, 3))
    (folder / "oneclass").mkdir()
    np.savez(folder / "oneclass" / "two.npz", train=rows[:40], test=rows, y=np.arange(90) // 80)
    (folder / "tables").mkdir()
    (folder / "one.npz").rename(folder / "tables" / "one.npz")
    found, text = run(quality, "false_alarms", "--data", str(folder / "tables"))
    assert not found.duplicated(["set", "detector"]).any()
    assert set(found.n_new) == {45, 80}
    assert found.flagged.between(0, 100).all()
    assert "| cross | " in text


@pytest.mark.slow
def test_known_outliers(run, tables):
    """All contestants but the first are measured with each number of known outliers."""
    found, text = run(quality, "labels", *tables)
    sizes = found.groupby("contestant").size().to_dict()
    assert sizes == {"no labels": 1, "left out": 3, "use_labels": 3, "random forest": 3}
    assert found[["auroc", "ap"]].stack().between(0, 100).all()
    assert "| use_labels |  | " in text


@pytest.mark.slow
def test_few_labels(run):
    """All contestants are measured with each number of labels; the page shows them."""
    found, text = run(quality, "few_labels")
    assert not found.duplicated(few_labels.KEYS).any()
    assert set(found.contestant) == set(few_labels.CONTESTANTS)
    assert found.accuracy.between(0, 100).all()
    assert "| all, labels only | " in text


@pytest.mark.slow
def test_variants_of_the_score(run, tables):
    """All variants are measured, and the page shows them in their order."""
    found, text = run(quality, "ablation", *tables)
    assert set(found.detector[found.training_data != "published"]) == set(ablation.CONTESTANTS)
    for names in (set(ablation.CONTESTANTS) - set(ablation.MASKED), ablation.MASKED):
        shown = [name.removeprefix("masked, ") for name in ablation.CONTESTANTS if name in names]
        start = text.index("`MaskedAutoencoder`**") if names is ablation.MASKED else 0
        rows = [text.index(f"| {name} | ", start) for name in shown]
        assert rows == sorted(rows)


@pytest.mark.slow
def test_detectors_of_incomplete_tables(run, tables):
    """Each detector gets a set in each version, and the page says what it loses."""
    found, text = run(quality, "missing", *tables)
    assert found.groupby("detector")["values"].apply(set).map(len).eq(len(missing.VALUES)).all()
    assert found.auroc.between(0, 100).all()
    assert all(f"| {name} | " in text for name in missing.CONTESTANTS)


@pytest.mark.slow
def test_detectors_of_categories(run, tmp_path):
    """Sets with coded columns take part, others do not; the page shows all ways to give them."""
    rng = np.random.default_rng(0)
    codes, numbers = rng.integers(0, 4, (80, 1)), rng.standard_normal((80, 3))
    y = np.repeat([0, 1], [30, 10])
    for name, X in {"coded": np.hstack([codes, numbers]), "plain": numbers}.items():
        np.savez(tmp_path / f"{name}.npz", train=X[:40], test=X[40:] + y[:, np.newaxis], y=y)
    found, text = run(quality, "categories", "--data", str(tmp_path))
    assert set(found.set) == {"coded"}
    assert found.groupby("detector").size().to_dict() == {
        name: 2 if name in categories.PEERS else 3 for name in categories.CONTESTANTS
    }
    assert "**AUROC / AP; number of sets: 1**" in text


@pytest.mark.slow
def test_imputers(run):
    """Each imputer fills in rows of the fit and others; the page shows them in their order."""
    found, text = run(quality, "imputation", "--sets", "wine")
    assert not found.duplicated(imputation.KEYS).any()
    assert found.groupby("model").size().eq(4).all()
    assert found.error.between(0, 10).all()
    rows = [text.index(f"| {name} | ") for name in imputation.CONTESTANTS]
    assert rows == sorted(rows)


@pytest.fixture
def waves(tmp_path):
    """Write a series of either kind, and what is published of them; return the options."""
    rng = np.random.default_rng(0)
    rows = []
    for kind, n_channels in (("uni", 1), ("multi", 2)):
        X = np.sin(np.arange(400)[:, np.newaxis] / 5 + np.arange(n_channels))
        X += 0.1 * rng.normal(size=X.shape)
        X[300:320] = 0
        y = (np.arange(400) // 20 == 15).astype(int)
        np.savez(tmp_path / f"{kind}.npz", X=X, y=y)
        rows.append((f"{kind}.npz", kind, f"{n_channels}_{kind}_a", 200, 20))
        published = pd.DataFrame({"LOF": [0.4]}, index=[f"{n_channels}_{kind}_a"])
        published.to_csv(tmp_path / f"published_vus_pr_{kind}.csv")
    columns = ["file", "kind", "name", "train_len", "vus_window"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "manifest.csv", index=False)
    return "--data", str(tmp_path)


@pytest.mark.slow
def test_detectors_of_series(run, waves):
    """Detectors are measured on series of both kinds; the page shows them beside published ones."""
    detectors = ["IsolationForest", "TransformerAutoencoder", "no model"]
    found, text = run(quality, "series", *waves, "--only", *detectors)
    assert set(found.detector) == {*detectors, "LOF"}
    assert found.vus_pr.between(0, 1).all()
    assert "**Series of several channels, whole**" in text
    assert text.count("| LOF | 0.400 | 1 |") == 2


@pytest.mark.slow
def test_kinds_of_anomalies(run, waves):
    """Detectors are measured on series of all kinds, each source once."""
    detectors = ["PCA", "values", "chance"]
    found, text = run(quality, "kinds", *waves, "--only", *detectors)
    assert set(found.detector) == set(detectors)
    assert found.vus_pr.between(0, 1).all()
    assert text.count("| PCA | ") == 2


@pytest.mark.slow
def test_false_events(run):
    """Events in clean rows, and faults that are found, are counted for each process."""
    found, text = run(quality, "alarms", "--sets", "drift")
    assert found.faults_found.between(0, 5).all()
    assert text.count("| one in 30 days | ") == 2


@pytest.mark.slow
def test_chart_of_series(waves):
    """Series of either kind are drawn."""
    titles = [axes.get_title("left") for axes in series_chart(Path(waves[1])).axes]
    assert [title[:7] for title in titles] == ["1_uni_a", "2_multi"]


@pytest.mark.parametrize("name", page.TEXTS)
def test_pages_are_current(name):
    """What is committed is what `python -m benchmarks.page` makes of the results."""
    is_current = (page.DOCS / name).read_text() == page.TEXTS[name](RESULTS)
    assert is_current, "results or docstrings have changed: run python -m benchmarks.page"


@pytest.mark.parametrize("name", page.CHARTS)
def test_charts_are_current(name, tmp_path):
    """A committed chart was drawn from the results as they are, and can be drawn again."""
    page.draw(name, tmp_path)
    texts = [Image.open(folder / f"{name}.png").text for folder in (page.PICTURES, tmp_path)]
    assert texts[0]["Description"] == texts[1]["Description"]


def test_the_page_needs_no_results(tmp_path):
    """Where nothing has been measured, the page says so."""
    text = page.benchmarks(tmp_path)
    assert text.count("No results are kept yet.") == len(CASES) + len(NAMES)


def test_results_can_be_made_in_parts(tmp_path):
    """Results take the place of those of the same detector on the same set, and of no others."""
    path = tmp_path / "results.csv"

    def rows(detectors, sets, seeds, auroc):
        for detector, name, seed in itertools.product(detectors, sets, seeds):
            values = ("dte", "semi", name, detector, "", seed)
            yield {**dict(zip(tabular.KEYS, values, strict=True)), "auroc": auroc, "commit": "1e5"}

    store(rows("AB", ["one", "two"], [0, 1], 50.0), path, tabular.KEYS)
    store(rows("A", ["two"], [0], 60.0), path, tabular.KEYS)
    found = read(path)
    assert set(found.commit) == {"1e5"}  # which is no number
    new = (found.detector == "A") & (found.set == "two")
    assert list(found.auroc[new]) == [60]
    assert list(found.auroc[~new]) == [50] * 6


def test_ranks_and_places_on_tables():
    """Seeds are averaged first; a place is among the published ones, and ties share theirs."""
    columns = ["detector", "training_data", "set", "seed", "auroc"]
    rows = [
        ("A", "unknown", "one", 0, 80.0),
        ("A", "unknown", "one", 1, 90.0),
        ("A", "unknown", "two", 0, 65.0),
        ("B", "", "one", 0, 70.0),
        ("B", "", "two", 0, 60.0),
        ("P", "published", "one", None, 85.0),
        ("P", "published", "two", None, 55.0),
        ("Q", "published", "one", None, 60.0),
        ("Q", "published", "two", None, 70.0),
    ]
    frame = pd.DataFrame(rows, columns=columns).assign(protocol="dte", setting="semi")
    frame["ap"] = frame["fit_seconds"] = frame.auroc.where(frame.training_data != "published")
    found = summaries.of_tables(frame).loc["dte", "semi"].droplevel("training_data")
    assert list(found.index) == ["A", "B", "P", "Q"]
    assert list(found.auroc) == [75, 65, 70, 65]
    assert list(found["rank"])[:2] == [1, 2]
    assert list(found.place) == [1.75, 2, 1.5, 1.5]
    assert found.half_mean["A"] == pytest.approx(75, abs=2)  # a half is one of the two
    assert found.half_sd["A"] == pytest.approx(10, abs=0.1)


@pytest.mark.parametrize("setting", ["semi", "unsup"])
@pytest.mark.parametrize("protocol", ["dte", "clean"])
def test_splits_of_tables(protocol, setting):
    """Small sets are resampled where the protocol says so, and large ones are cut."""
    X, y = np.arange(100)[:, np.newaxis], np.repeat([0, 1], [90, 10])
    part = tabular.split(X, y, protocol, setting, 0)
    n_rows = len(part.test) + (len(part.train) if setting == "semi" else 0)
    assert n_rows == (1000 if protocol == "dte" else 100)
    assert np.array_equal(part.labels, part.test[:, 0] >= 90)
    assert (part.train < 90).all() == (setting == "semi")
    assert (len(np.unique(part.train)) == len(part.train)) == (protocol == "clean")
    y = np.arange(60_000) % 5 == 0
    large = tabular.split(np.zeros((60_000, 1)), y, protocol, setting, 0)
    assert (len(large.train), len(large.test)) == (10_000, 20_000)


def test_ratios_are_taken_within_rounds():
    """A machine that slows down for a round changes no ratio; a share is scaled up."""
    laps = {
        "baseline": [Lap(t, t) for t in (1.0, 1.0, 5.0)],
        "other": [Lap(t, t) for t in (0.2, 0.2, 1.0)],
    }
    _, row = summed_up("a setting", laps, "baseline", shares={"other": 0.1}, calls=4)
    assert row["wall_median"] == row["wall_min"] == pytest.approx(0.5)
    assert row["wall_ratio"] == row["cpu_ratio"] == pytest.approx(2.0)


def test_contestants_take_turns():
    """Round after round, never one contestant twice in a row."""
    order = []
    runs = {name: lambda name=name: order.append(name) for name in "abc"}
    laps = in_turns(runs, 2)
    assert order == list("abcabc")
    assert {name: len(own) for name, own in laps.items()} == {"a": 2, "b": 2, "c": 2}


@pytest.mark.skipif(PYOD, reason="nothing is missing")
def test_missing_contestants_are_named(capsys):
    """What is not installed is left out, with a line that says so."""
    arguments([], "python", "How?")
    assert capsys.readouterr().out == "PyOD is not installed, so its contestants are left out.\n"
    assert not set(tabular.CONTESTANTS) & {"ECOD", *tabular.SLOW}


def test_a_rise_of_memory_is_seen():
    """Memory that is held for a moment counts, memory that was there before does not."""

    def hold():
        held = np.ones(4_000_000)
        time.sleep(0.1)  # on a busy machine, who samples waits for a turn
        del held

    kept = np.ones(4_000_000)
    assert 25 < memory_rise(hold) < 60
    assert memory_rise(lambda: None) < 15
    del kept


def _call(run):
    return run()


def _process(number):
    return lambda: (number + 1, os.getpid(), os.environ["OMP_NUM_THREADS"])


def test_some_runs_have_a_process_of_their_own():
    """What is found there comes back."""
    number, process, threads = alone(Namespace(size="full", threads=1), _call, _process, 1)
    assert (number, threads) == (2, "1")
    assert process != os.getpid()


def test_the_leaderboard_reads_series_by_name(tmp_path, capsys):
    """The rows to learn from are in the name of a file, anomalies are where its labels are."""
    X = np.sin(np.arange(600) / 5)
    X[450:470] = 0
    frame = pd.DataFrame({"value": X, "Label": np.repeat([0, 1, 0], [450, 20, 130])})
    frame.to_csv(tmp_path / "1_waves_id_1_Sensor_tr_300_1st_450.csv", index=False)
    leaderboard.main(["--data", str(tmp_path), "--output", str(tmp_path / "found.csv")])
    assert pd.read_csv(tmp_path / "found.csv")["VUS-PR"].item() > 0.5
    assert "VUS-PR" in capsys.readouterr().out
