"""What users are told of each estimator where they work: in a notebook, by `help`, by a report."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.utils.fixes import parse_version

import sktae
import sktae.datasets
import sktae.metrics
import sktae.timeseries
from sktae import Autoencoder, AutoencoderNet, BaseAutoencoder
from sktae._docstrings import entries, sections

ROOT = Path(__file__).parents[1]
PUBLIC = [getattr(sktae, name) for name in sktae.__all__ if name[0].isupper()]
ESTIMATORS = [
    E
    for E in PUBLIC
    if issubclass(E, BaseEstimator)
    and E is not BaseAutoencoder
    and not issubclass(E, AutoencoderNet)
]


FUNCTIONS = [
    value
    for module in (sktae, sktae.metrics)
    for name in module.__all__
    if inspect.isfunction(value := getattr(module, name))
]
# What authors of autoencoders write, and users do not call.
HOOKS = {"network", "objective", "inputs", "error", "residual", "nll", "surprise"}
CLASSES = [*ESTIMATORS, BaseAutoencoder, sktae.datasets.ImageFolder, sktae.timeseries.SeriesStream]


def is_typed(function):
    """Return whether all arguments and the result of a function have types."""
    signature = inspect.signature(function)
    types = [p.annotation for p in signature.parameters.values() if p.name != "self"]
    return inspect.Signature.empty not in (*types, signature.return_annotation)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_are_typed(function):
    """Editors and type checkers know the arguments and the result of each public function."""
    assert is_typed(function)


@pytest.mark.parametrize("cls", CLASSES)
def test_methods_are_typed(cls):
    """So they do of each public method, from itself or from one that it overrides."""
    for name in {*dir(cls)} - HOOKS:
        method = getattr(cls, name)
        if name[0] != "_" and inspect.isfunction(method) and method.__module__[:5] == "sktae":
            own = [getattr(base, name) for base in cls.__mro__ if name in vars(base)]
            assert any(map(is_typed, own)), name


@pytest.mark.parametrize("E", ESTIMATORS)
def test_notebooks_show_help_for_parameters(E):
    """Each parameter has its description, and a link to its line on our site."""
    estimator = E(Autoencoder(), {}) if E.__name__.startswith("Stacked") else E()
    page = f"https://sktae.github.io/sktae/api/sktae.{E.__name__}.html"
    html = estimator._repr_html_()
    assert f'href="{page}"' in html
    if parse_version(sklearn.__version__) >= parse_version("1.9"):
        for name in estimator.get_params(deep=False):
            assert re.search(rf'href="{page}#:~:text={name},-.*"', html), name
        assert html.count('class="param-doc-description"') >= len(estimator.get_params(deep=False))


@pytest.mark.parametrize("E", ESTIMATORS)
def test_help_leads_on(E):
    """Each class links to an existing part of the guide, and names others with what they are."""
    parts = sections(E.__doc__)
    link = r"^Read more in the guide: https://sktae.github.io/sktae/guide/([\w-]+).html(?:#(.+))?$"
    page, anchor = re.search(link, parts[""], re.MULTILINE).groups()
    text = (ROOT / "docs" / "guide" / f"{page}.md").read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert anchor is None or anchor in {title.lower().replace(" ", "-") for title in titles}
    related = entries(parts["See Also"])
    assert related
    for name, entry in related.items():
        other = getattr(sktae, name)
        assert other in ESTIMATORS
        assert other is not E
        assert re.fullmatch(rf"{name} : [A-Z`].+\.", entry)
        assert entry.partition(" : ")[2][1:-1] in " ".join(other.__doc__.split())
    assert list(parts).index("See Also") == list(parts).index("Attributes") + 1


def test_versions_of_all_packages_are_shown(capsys):
    """Reports have whatever sktae depends on, extras of users included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["plot"], *extras["neighbors"]]
    needed += [*extras["series"], *extras["onnx"], *extras["arrow"], "sktae"]
    sktae.show_versions()
    shown = capsys.readouterr().out
    for name in (re.match(r"[\w-]+", requirement)[0] for requirement in needed):
        assert re.search(rf"^ *{name}: (\d|not installed)", shown, re.MULTILINE), name
    assert "devices: cpu" in shown
