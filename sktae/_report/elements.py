"""Elements of a page: whatever is not an element itself is escaped."""

import html
import json
import math
import re
from collections.abc import Iterable
from typing import Any

# Longer texts, such as values of a column of messages, are cut.
LONGEST = 80
_VOID = {"input"}


class Html(str):
    """A text that is part of a page as it is."""


def element(name: str, *content: Any, **attributes: Any) -> Html:
    """Return an element with its content.

    A trailing underscore of an attribute is left out, others become hyphens. An attribute that is
    None or False is left out, and one that is True has no value.
    """
    written = ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        written += f" {key}" if value is True else f' {key}="{escaped(value)}"'
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def joined(content: Iterable[Any]) -> Html:
    """Return parts of a page, one after the other."""
    return Html("".join(escaped(part) for part in content))


def escaped(value: Any) -> Html:
    """Return a value as a text of a page; None is nothing."""
    if isinstance(value, Html):
        return value
    return Html("" if value is None else html.escape(_clean(str(value))))


def data(name: str, content: Any) -> Html:
    """Return an element that holds data for the script of the page."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    text = text.replace("<", "\\u003c")  # nothing in it ends the element
    return Html(f'<script type="application/json" id="{name}">{text}</script>')


def shortened(value: Any, longest: int = LONGEST) -> str:
    """Return a value as a text of one line that is not too long."""
    text = " ".join(_clean(str(value)).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def number(value: Any) -> str:
    """Return a number with four digits that count, or with all before the point."""
    value = float(value)
    if not math.isfinite(value):
        return "missing" if math.isnan(value) else str(value)
    if abs(value) >= 1e9 or 0 < abs(value) < 1e-4:
        return f"{value:.3g}"
    if value == round(value) or abs(value) >= 1e4:
        return f"{value:,.0f}"
    return f"{value:,.4g}"


def percent(share: float) -> str:
    """Return a share in percent, with two digits that count below 10 %."""
    value = 100 * share
    if value == 0 or 10 <= value <= 99 or value == 100:
        return f"{value:.0f} %"
    return f"{value:.2g} %" if value < 10 else f"{min(value, 99.9):.1f} %"


def counted(n: int, name: str) -> str:
    """Return a number of things, as in "1 row" and "2,000 rows"."""
    return f"{n:,} {name}" if n == 1 else f"{n:,} {name}s"


def _clean(text: str) -> str:
    """Return a text with a replacement for what no page may hold."""
    text = text.encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "\ufffd", text)
