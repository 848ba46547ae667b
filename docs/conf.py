"""How the site is built.

Nothing is fetched while building, except with `-t online`: then names of other libraries are links.
"""

import inspect
import sys
from pathlib import Path

import sktae
import sktae.metrics
import sktae.plot
import sktae.timeseries

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from _cards import write as write_cards  # noqa: E402, its folder is only now known

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

if tags.has("online"):  # noqa: F821, sphinx defines it
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

WRITTEN = ("*", "tutorial/*", "how-to/*", "guide/*")  # behind other pages is nothing to edit
html_theme = "pydata_sphinx_theme"
html_title = "sktae"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["sktae.css"]
html_baseurl = "https://sktae.github.io/sktae/"
html_context = {
    "github_user": "sktae",
    "github_repo": "sktae",
    "github_version": "main",
    "doc_path": "docs",
    "default_mode": "auto",  # dark where the browser is
}
html_theme_options = {
    "github_url": "https://github.com/sktae/sktae",
    "use_edit_page_button": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "switcher": {
        "json_url": f"{html_baseurl}_static/versions.json",
        "version_match": "dev" if "dev" in release else release,
    },
    "check_switcher": False,  # it would fetch the file
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": {
        **{pages: ["page-toc", "edit-this-page"] for pages in WRITTEN},
        **{pages: ["page-toc"] for pages in ("api/*", "gallery/*")},
        "index": [],
    },
    "navbar_end": ["version-switcher", "theme-switcher", "navbar-icon-links"],
}
html_sidebars = {"index": [], "changelog": [], "benchmarks": []}

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
# Docstrings inherited from scikit-learn refer to its glossary and its guide.
suppress_warnings = ["ref.term", "ref.ref"]
copybutton_exclude = ".linenos, .gp, .go"  # neither prompts nor output

autodoc_typehints = "none"  # the docstrings say the types, in words
# Quotes are part of values, and scikit-learn's representations link to a parameter by its text.
smartquotes = False
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
    data = section("Data", ["ImageFolder", "TableDataset"])
    page += ".. currentmodule:: sktae.datasets\n\n" + data
    page += ".. currentmodule:: sktae.metrics\n\n" + section("Metrics", sktae.metrics.__all__)
    page += ".. currentmodule:: sktae.plot\n\n" + section("Displays", sktae.plot.__all__)
    page += ".. currentmodule:: sktae\n\n" + section("For authors of autoencoders", AUTHORS, "own")
    index = HERE / "api" / "index.rst"
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
write_cards(HERE / "gallery" / "cards")
