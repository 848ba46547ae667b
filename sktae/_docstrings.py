"""Docstrings written once: a class documents what it adds, the rest is inherited.

Works on the structure of numpydoc sections (a heading, an underline, entries that start in the
first column), so a class with only a summary still gets a complete page.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any

_HEADING = re.compile(r"^(?P<title>[A-Z][\w ]+)\n-{3,}\n", re.MULTILINE)
_REFERENCE = re.compile(
    r"^\.\. \[\d+\] (?P<author>.+?) \((?P<year>\d{4})\)\.\s(?P<title>.+?)\.\s(?P<venue>.+?)\.?$"
)

# The guide, and its parts on estimators that are no models; each model has a part of its own.
_GUIDE = "https://sktae.github.io/sktae/guide/"
_PARTS = {
    "AutoencoderClassifier": "train.html#learn-from-labels",
    "AutoencoderEnsemble": "ensembles.html",
    "AutoencoderImputer": "tables.html#missing-values",
    "AutoencoderRegressor": "train.html#learn-from-labels",
    "StackedGridSearchCV": "search.html",
    "StackedRandomizedSearchCV": "search.html#random-search",
    "Vocabulary": "sequences.html#tokens",
    "WindowedDetector": "series.html",
}


def sections(doc: str) -> dict[str, str]:
    """Split a docstring into its sections; the text before the first is under the title ''."""
    parts = _HEADING.split(inspect.cleandoc(doc))
    return {
        "": parts[0].strip(),
        **dict(zip(parts[1::2], map(str.strip, parts[2::2]), strict=True)),
    }


def entries(section: str) -> dict[str, str]:
    """Split a section of definitions into its entries, by name."""
    parts = re.split(r"^(?=\S)", section, flags=re.MULTILINE)
    return {part.split(":")[0].split("(")[0].strip(): part.strip() for part in parts if part}


def inherit_sections(cls: type) -> None:
    """Complete `cls.__doc__`: inherited parameters in signature order, and fitted attributes."""
    own = sections(cls.__dict__.get("__doc__") or "")
    documented: dict[str, dict[str, str]] = {"Parameters": {}, "Attributes": {}}
    for base in reversed(cls.__mro__[1:]):
        text = base.__dict__.get("__doc__") or ""
        if hasattr(base, "_parameter_constraints"):
            for title, collected in documented.items():
                collected.update(entries(sections(text).get(title, "")))
    for title, collected in documented.items():
        collected.update(entries(own.get(title, "")))
    texts = documented["Parameters"]
    order = [name for name in inspect.signature(cls).parameters if name in texts]
    merged = {
        "Parameters": "\n\n".join(texts[name] for name in order),
        "Attributes": "\n\n".join(documented["Attributes"].values()),
    }
    rest = {title: text for title, text in own.items() if title not in merged}
    cls.__doc__ = _written({"": rest.pop(""), **merged, **rest})


def add_links(namespace: Mapping[str, Any]) -> None:
    """Add to the documentation of estimators a link to the guide, and what related ones are.

    What is said of a related estimator is the first sentence of its own documentation.
    """
    for name, value in namespace.items():
        own = sections((inspect.isclass(value) and value.__doc__) or "")
        if "See Also" not in own:
            continue
        part = _PARTS.get(name, f"gallery-of-models.html#{name.lower()}")
        related = own.pop("See Also").split()
        summaries = {other: _summary(namespace[other]) for other in related}
        see = "\n".join(f"{other} : {summary}" for other, summary in summaries.items())
        first = {"": f"{own.pop('')}\n\nRead more in the guide: {_GUIDE}{part}"}
        first |= {title: own.pop(title) for title in ("Parameters", "Attributes") if title in own}
        value.__doc__ = _written({**first, "See Also": see, **own})


def _summary(cls: type) -> str:
    """Return the first sentence of a class's documentation, without its name."""
    sentence = " ".join((cls.__doc__ or "").split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    text = sentence.partition(": ")[2] or sentence
    return f"{text[:1].upper()}{text[1:]}."


def _written(parts: Mapping[str, str]) -> str:
    """Return a docstring of these sections, by title; those without text are left out."""
    texts = [
        f"{title}\n{'-' * len(title)}\n{text}" for title, text in parts.items() if title and text
    ]
    return "\n\n".join([parts[""], *texts]) + "\n"


def citation(estimator: Any) -> str:
    """Return the papers behind an estimator as BibTeX.

    Parameters
    ----------
    estimator : estimator or class
        What to cite.

    Returns
    -------
    bibtex : str
        One entry for each reference of the class's documentation.

    Examples
    --------
    >>> from sktae import VariationalAutoencoder, citation
    >>> citation(VariationalAutoencoder).splitlines()[0]
    '@misc{kingma2014,'
    """
    cls = estimator if isinstance(estimator, type) else type(estimator)
    references = sections(cls.__doc__ or "").get("References", "")
    bibtex = []
    for part in re.split(r"\n(?=\.\. \[)", references):
        match = _REFERENCE.match(" ".join(part.split()))
        if match is None:
            continue
        key = match["author"].split(",")[0].lower().replace(" ", "") + match["year"]
        authors = re.sub(r",? and ", ", ", match["author"])
        names = " and ".join(re.findall(r"[^, ][^,]*, [^,]+", authors))
        bibtex.append(
            f"@misc{{{key},\n"
            f"  author = {{{names}}},\n"
            f"  title = {{{match['title']}}},\n"
            f"  howpublished = {{{match['venue']}}},\n"
            f"  year = {{{match['year']}}},\n}}"
        )
    return "\n".join(bibtex)
