"""README says what was measured, and the autoencoder of CONTRIBUTING is a real one.

The demo and all examples of the gallery run in continuous integration.
"""

import re
import sys
import types
from pathlib import Path

import pandas as pd
from shared import by_chance
from sklearn.utils.estimator_checks import check_estimator

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
# What README calls the detectors of the benchmark.
_DETECTORS = {
    "k nearest neighbors": "kNN mean",
    "`LocalOutlierFactor`": "LOF",
    "`OneClassSVM`": "OCSVM",
    '`MaskedAutoencoder(training_data="clean")`': "MaskedAutoencoder, given",
}


def test_figures_of_the_readme():
    """The table of README holds the means of the committed results."""
    results = pd.read_csv(ROOT / "benchmarks" / "results" / "quality" / "oneclass.csv")
    told = results["training_data"].eq("given").map({True: ", given", False: ""})
    means = results.groupby(results["detector"] + told)[["auroc", "ap"]].mean().round(1)
    rows = re.findall(r"^\| (\S.*?) \| ([\d.]+) \| ([\d.]+) \|$", README.read_text(), flags=re.M)
    assert len(rows) > 5
    for name, auroc, ap in rows:
        detector = _DETECTORS.get(name, name.strip("`"))
        assert means.loc[detector].tolist() == [float(auroc), float(ap)], name


def test_the_autoencoder_of_contributing(monkeypatch):
    """What CONTRIBUTING tells a newcomer to write passes scikit-learn's checks."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    code = max(re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL), key=len)
    module = types.ModuleType("newcomer")
    monkeypatch.setitem(sys.modules, "newcomer", module)
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))
    (E,) = (value for name, value in vars(module).items() if name.endswith("nAutoencoder"))
    model = E(max_steps=5, random_state=0)
    check_estimator(model, on_skip=None, expected_failed_checks=by_chance(model))
    assert list(E(max_steps=5).fit([[0.0, 1.0]] * 3).history_)[2:4] == [
        "train_loss",
        "train_reconstruction",
    ]
