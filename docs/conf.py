"""How the site is built; nothing is fetched while building."""

import inspect
from pathlib import Path

import sktae
import sktae.metrics
import sktae.plot
import sktae.timeseries

project = "sktae"
author = "the sktae developers"
copyright = "2026, the sktae developers"
release = version = sktae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
# The examples appear as the gallery, and a table of benchmarks is part of a page.
exclude_patterns = ["_build", "examples", "benchmarks/models.md"]
templates_path = ["_templates"]

html_theme = "pydata_sphinx_theme"
html_title = "sktae"
html_show_sourcelink = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Docstrings inherited from scikit-learn refer to its glossary and its guide.
suppress_warnings = ["ref.term", "ref.ref"]
copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output

autodoc_typehints = "none"  # the docstrings say the types, in words
numpydoc_show_class_members = False  # the class template lists the methods

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "plot_",
    "download_all_examples": False,
    "write_computation_times": False,
}


# What a new autoencoder is written with; CONTRIBUTING shows how.
AUTHORS = [
    "nn.module.AutoencoderModule",
    "base.Spec",
    "base.Auto",
    "inputs.protocol.Inputs",
    *(
        f"randomness.{name}"
        for name in ["Normal", "Uniform", "Mask", "Prefix", "Partner", "Neighbor", "Label"]
    ),
]


def section(title, names, template=None):
    """List names under a title; autosummary makes a page of each."""
    head = [title, "-" * len(title), "", ".. autosummary::", "   :toctree:"]
    head += [f"   :template: autosummary/{template}.rst"] if template else []
    return "\n".join([*head, "", *(f"   {name}" for name in names), "", ""])


def write_reference():
    """Write the reference's index, so that whatever sktae exports is in it."""
    names = sorted(name for name in sktae.__all__ if not name.startswith("_"))
    classes = [name for name in names if inspect.isclass(getattr(sktae, name))]
    functions = [name for name in names if inspect.isfunction(getattr(sktae, name))]
    page = "API reference\n=============\n\n.. currentmodule:: sktae\n\n"
    page += section("Estimators", classes) + section("Functions", functions)
    page += ".. currentmodule:: sktae.timeseries\n\n" + section("Streams", ["SeriesStream"])
    page += ".. currentmodule:: sktae.datasets\n\n" + section("Data", ["ImageFolder"])
    page += ".. currentmodule:: sktae.metrics\n\n" + section("Metrics", sktae.metrics.__all__)
    page += ".. currentmodule:: sktae.plot\n\n" + section("Displays", sktae.plot.__all__)
    page += ".. currentmodule:: sktae\n\n" + section("For authors of autoencoders", AUTHORS, "own")
    index = Path(__file__).parent / "api" / "index.rst"
    index.parent.mkdir(exist_ok=True)
    index.write_text(page)


def leave_out(app, what, name, obj, skip, options):
    """List scikit-learn's own methods, but show only ours: its docstrings refer to its site."""
    listing = not options  # only autodoc, which shows them, passes options
    module = str(getattr(obj, "__module__", ""))
    foreign = module.startswith("sklearn.") or name.endswith("_request")
    return skip or (foreign and not listing) or None


def setup(app):
    app.connect("autodoc-skip-member", leave_out)


write_reference()
