"""Docstrings written once: a class documents what it adds, the rest is inherited.

Works on the structure of numpydoc sections (a heading, an underline, entries that start in the
first column), so a class with only a summary still gets a complete page.
"""

import inspect
import re
from typing import Any

_HEADING = re.compile(r"^(?P<title>[A-Z][\w ]+)\n-{3,}\n", re.MULTILINE)
_REFERENCE = re.compile(
    r"^\.\. \[\d+\] (?P<author>.+?) \((?P<year>\d{4})\)\.\s(?P<title>.+?)\.\s(?P<venue>.+?)\.?$"
)


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
    rest = {title: text for title, text in own.items() if title not in ("", *merged)}
    parts = [own[""]]
    for title, text in {**merged, **rest}.items():
        if text:
            parts.append(f"{title}\n{'-' * len(title)}\n{text}")
    cls.__doc__ = "\n\n".join(parts) + "\n"


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
