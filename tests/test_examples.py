"""The demo keeps what it promises, and the autoencoder of CONTRIBUTING is a real one.

All examples of the gallery run where the site is built.
"""

import re
import runpy
import sys
import types
from pathlib import Path

import pytest
from shared import LONG, by_chance
from sklearn.utils.estimator_checks import check_estimator

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "docs" / "examples" / "plot_detectors_and_reducers.py"


@pytest.mark.skipif(not LONG, reason="--long only: the site runs the demo, too")
def test_the_picture_of_the_demo(monkeypatch, tmp_path, capsys):
    """The demo prints its table and saves its picture where it is told to."""
    monkeypatch.setattr(sys, "argv", [DEMO.name, "--save", str(tmp_path / "demo.png")])
    runpy.run_path(str(DEMO), run_name="__main__")
    assert (tmp_path / "demo.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    rows = {line.split("  ")[0]: line.split() for line in printed.splitlines()}
    forest, denoising = (rows[name][1:] for name in ("IsolationForest", "DenoisingAutoencoder"))
    assert all(
        float(ours) > float(its) for ours, its in zip(denoising[:2], forest[:2], strict=True)
    )
    assert float(rows["Autoencoder(2)"][1]) > float(rows["PCA(2)"][1])


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
