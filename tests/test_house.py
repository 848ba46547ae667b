"""The rules of the house: floors, sizes, words, documentation, hyperparameters."""

import ast
import graphlib
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import sktae
from sktae import Autoencoder, BaseAutoencoder, all_estimators
from sktae._docstrings import entries, sections
from sktae.nn.layers import Coded
from sktae.nn.module import AutoencoderModule
from sktae.parameters import Count, NonNegative, constraints

PACKAGE = Path(sktae.__file__).parent
CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
FILES = sorted(PACKAGE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))

# Packages hold floors: what is on one may know what is below it, and its own package.
FLOORS = [
    {"parameters", "_docstrings", "_versions", "_warnings", "randomness", "_files"},
    {"nn", "metrics", "datasets", "vocabulary"},
    {"_engine", "inputs"},
    {"_outliers", "_transform"},
    {"_training"},
    {"base"},
    {"families"},
    {"autoencoders"},
    {"_fit_many", "_inner", "_pipelines", "timeseries"},
    {"ensemble", "imputer", "search", "supervised"},
    {"persistence", "plot", "_onnx", "_saelens"},
    {"_report"},
    {"_cli"},
    {"__init__"},
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@every_file
def test_imports_only_go_down(path):
    """A file imports from floors below, or from its own package; gallery files stay apart."""
    own = room(path)
    for module in imported(path):
        if module.startswith("sktae."):
            other = module.split(".")[1]
            inside = own == other != "autoencoders"
            assert inside or FLOOR[other] < FLOOR[own], module


def test_imports_form_no_circle():
    """Modules can be read in an order in which each rests on those before it."""
    imports = {}
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        imports[".".join(parts).removesuffix(".__init__")] = {*imported(path)}
    graphlib.TopologicalSorter(imports).prepare()


def test_what_takes_long_to_import_stays_out():
    """Neither `import sktae` nor a short fit, or a copy of what it fitted, takes its time."""
    code = (
        "import pickle, sys, numpy as np, sktae, sktae.plot\n"
        "X = np.random.default_rng(0).normal(size=(50, 3))\n"
        "model = sktae.Autoencoder(max_steps=2).fit(X)\n"
        "pickle.loads(pickle.dumps(model)).partial_fit(X)\n"
        "slow = {'aeon', 'sktime', 'darts', 'matplotlib', 'torch._dynamo'}\n"
        "sys.exit(', '.join(slow & {*sys.modules}) or None)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def code_lines(path):
    """Count the lines that are neither blank, nor comments, nor documentation."""
    text, documentation = path.read_text(), set()
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and ast.get_docstring(node, clean=False) is not None:
            documentation.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(
        bool(line) and not line.startswith("#") and number not in documentation
        for number, line in lines
    )


@every_file
def test_files_stay_small_and_clean(path):
    """No file is long, and none prints, pickles, or seeds the world."""
    text = path.read_text()
    assert code_lines(path) <= (120 if room(path) == "autoencoders" else 250)
    for word in (r"\bprint\(", "import pickle", r"torch\.manual_seed", r"random\.seed\("):
        assert not re.search(word, text), word
    assert "warnings.warn(" not in text or path.stem == "_warnings"
    private = [m for m in imported(path) if m.startswith("sklearn") and "._" in m]
    assert not private or path.stem == "parameters"


def listed(title, stop):
    """Return the names in backticks that begin rows and items of a section of CONTRIBUTING."""
    section = CONTRIBUTING.read_text().split(title)[1].split(stop)[0]
    return [re.findall(r"`(\w+)", line) for line in section.splitlines() if "`" in line]


def test_contributing_lists_the_floors():
    """The floors that a newcomer reads are those that are tested."""
    floors = listed("its own package:\n", "- Gallery files")
    assert [set(rooms) for rooms in floors] == FLOORS[:-1]


def test_contributing_lists_the_contract():
    """The hooks that a newcomer reads are all there are, and each has a docstring."""
    rows = listed("| of the estimator", "Where a parameter chooses")
    hooks, own = {names[0] for names in rows}, {"fit", "partial_fit", "set_params", "history_"}
    fields = set(inspect.signature(BaseAutoencoder).parameters)
    public = {n for n in vars(BaseAutoencoder) if n[0] != "_" and not n.endswith("_request")}
    estimator = public - fields - own
    network = {n for n in vars(AutoencoderModule) if n[0] != "_"} - {"overrides", "extra_repr"}
    assert hooks == estimator | network
    documented = [getattr(BaseAutoencoder, n) for n in estimator]
    documented += [getattr(AutoencoderModule, n) for n in network - {"noise", "layer_size"}]
    assert all(hook.__doc__ for hook in documented)


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.glob("*.py")), ids=lambda p: p.name)
def test_test_files_stay_small(path):
    """A file of tests can be read in one go."""
    assert path.read_text().count("\n") <= 500


def test_every_estimator_is_exported():
    """Each autoencoder file has its classes in `all_estimators()`, in `__all__`, documented."""
    defined = {
        node.name
        for path in (PACKAGE / "autoencoders").glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name.endswith("Autoencoder")
    }
    assert defined == {E.__name__ for E in all_estimators()}
    assert sorted(sktae.__all__) == sktae.__all__
    assert all(getattr(sktae, name).__doc__ for name in sktae.__all__)


@pytest.mark.parametrize("E", all_estimators())
def test_documentation_matches_the_signature(E):
    """Every parameter is documented in order, with its default; references and examples exist."""
    parts = sections(E.__doc__)
    documented = entries(parts["Parameters"])
    parameters = inspect.signature(E).parameters
    assert list(documented) == list(parameters)
    assert set(parameters) == set(E._parameter_constraints)
    for name, text in documented.items():
        default = re.search(r"default=(.+)", text.split("\n")[0])[1]
        assert ast.literal_eval(default) == parameters[name].default, name
    assert {"References", "Examples", "Attributes"} <= set(parts)
    fitted = vars(E(max_steps=1).fit([[0.0, 1.0], [1.0, 0.0]]))
    public = {name for name in fitted if name.endswith("_")}
    assert public <= set(entries(parts["Attributes"]))
    positional = [p for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in positional] == ["n_components"]


def test_a_new_autoencoder_is_a_few_lines():
    """A class with a network and an objective has the whole contract, documentation included."""
    Local = NonNegative  # a type that only this function knows by this name

    class Halving(BaseAutoencoder):
        """Halves.

        Parameters
        ----------
        strength : float, default=1.0
            How much.
        """

        kind: ClassVar[str] = "not a parameter"
        strength: "Local" = 1.0

        def network(self, spec):
            class Network(AutoencoderModule):
                def __init__(self, n):
                    super().__init__()
                    self.decoder = torch.nn.Linear(n, n)

                def forward(self, x):
                    return Coded(self.decoder(x) / 2, x)

            return Network(*spec.shape)

        @staticmethod
        def objective(x, out, *, strength):
            return strength * (x - out.recon).abs()

    assert "strength" in inspect.signature(Halving).parameters
    assert Halving._parameter_constraints["strength"] == constraints(NonNegative)
    assert list(entries(sections(Halving.__doc__)["Parameters"]))[-1] == "strength"
    model = Halving(n_components=2, max_steps=3).fit([[0.0, 1.0], [1.0, 0.0], [3.0, 1.0]])
    assert list(model.history_)[2:] == ["train_loss", "learning_rate", "seconds"]
    with pytest.raises(ValueError, match="'strength' parameter of Halving must be a float in the"):
        Halving(strength=-1).fit([[0.0]])


def test_a_written_constructor_is_honoured():
    """A subclass may still write its own constructor."""

    class Fixed(Autoencoder):
        def __init__(self, n_components=3):
            super().__init__(n_components, max_steps=2)

    assert Fixed().fit([[0.0, 1.0], [1.0, 2.0]]).n_components_ == 3


def test_mistakes_in_a_class_are_refused():
    """What a dataclass would silently get wrong is an error where the class is made."""
    with pytest.raises(TypeError, match="overrides a hyperparameter without its type"):
        type("Bad", (Autoencoder,), {"batch_size": 3})
    with pytest.raises(TypeError, match="mutable default"):
        type("Bad", (Autoencoder,), {"__annotations__": {"sizes": list}, "sizes": [1]})
    with pytest.raises(TypeError, match="names that end in '_' are fitted"):
        type("Bad", (Autoencoder,), {"__annotations__": {"size_": Count}, "size_": 1})
    with pytest.raises(TypeError, match=r"takes \*\*others, of which scikit-learn knows no names"):
        type("Bad", (Autoencoder,), {"__init__": lambda self, gamma=1.0, **others: None})
    with pytest.raises(TypeError, match="has no default"):
        type("Bad", (Autoencoder,), {"__annotations__": {"size": Count}})
