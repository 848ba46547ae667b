"""The page and its parts: sections, tables, and charts whose words stay readable at any width."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from string import Template
from typing import Any, NamedTuple

from sktae._report.elements import Html, element, escaped, joined

# Charts are drawn in a square of so many units, which is stretched to the width of the page. The
# words beside them are elements of HTML, which are not stretched.
UNITS = 1000


class Tick(NamedTuple):
    """A mark at an axis."""

    place: float  # from 0 to 1
    text: str


def page(title: str, sections: Sequence[tuple[str, str, Html]], intro: Html) -> str:
    """Return a whole page from its sections: their names, their titles and themselves."""
    links = (element("a", name, href=f"#{anchor}") for anchor, name, _ in sections)
    parts = {
        "title": escaped(title),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "intro": intro,
        "links": joined(links),
        "sections": joined(content for *_, content in sections),
    }
    return Template(_file("page.html")).substitute(parts)


def section(anchor: str, title: str, *content: Any) -> Html:
    """Return a section with its heading."""
    name = f"{anchor}-title"
    return element(
        "section", element("h2", title, id=name), *content, id=anchor, aria_labelledby=name
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Any]],
    numeric: Sequence[int] = (),
    attributes: Iterable[dict[str, Any]] | None = None,
    name: str = "table",
) -> Html:
    """Return a table that scrolls by itself where the page is narrow."""
    rows = list(rows)
    classes = ["number" if i in numeric else None for i in range(len(head))]
    cells = (
        element("th", text, scope="col", class_=c) for text, c in zip(head, classes, strict=True)
    )
    body = (
        element(
            "tr", *(element("td", v, class_=c) for v, c in zip(row, classes, strict=True)), **own
        )
        for row, own in zip(rows, attributes or [{}] * len(rows), strict=True)
    )
    parts = element("thead", element("tr", joined(cells))), element("tbody", joined(body))
    return element(
        "div",
        element("table", *parts),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=name,
    )


def drawing(
    *content: Any, label: str, box: str = f"0 0 {UNITS} {UNITS}", **attributes: Any
) -> Html:
    """Return a picture that is stretched to its place."""
    return element(
        "svg",
        *content,
        viewBox=box,
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
        **attributes,
    )


def chart(
    picture: Html,
    x_ticks: Sequence[Tick],
    y_ticks: Sequence[Tick],
    *below: Any,
    title: str = "",
    x_title: str = "",
    class_: str = "",
    **attributes: Any,
) -> Html:
    """Return a picture with axes: a title for the vertical one above it, the other one below."""
    x = (element("span", t.text, style=f"left:{100 * t.place:.2f}%") for t in x_ticks)
    y = (element("span", t.text, style=f"bottom:{100 * t.place:.2f}%") for t in y_ticks)
    parts = [
        element("div", title, class_="y-title") if title else None,
        element("div", joined(y), class_="y-ticks", aria_hidden="true"),
        element("div", picture, class_="plot"),
        element("div", joined(x), class_="x-ticks", aria_hidden="true"),
        element("div", x_title, class_="x-title") if x_title else None,
    ]
    return element("div", *parts, *below, class_=f"chart {class_}".strip(), **attributes)


def legend(entries: Iterable[tuple[str, str]]) -> Html:
    """Return the names of what is drawn, each beside its color, a class of the style."""
    items = (element("li", element("i", class_=f"key {c}"), text) for c, text in entries)
    return element("ul", joined(items), class_="legend")


def _file(name: str) -> str:
    return files("sktae._report").joinpath(name).read_text(encoding="utf-8")
