"""`write_report`: a page on a fitted detector and on the rows that it judges."""

import os
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils import check_consistent_length, check_scalar

from sktae._files.container import checked, replacing
from sktae._report.card import card_section
from sktae._report.elements import Html, counted, data, element, joined, number, percent, shortened
from sktae._report.map import map_section, map_summary, mapped
from sktae._report.page import page
from sktae._report.quality import Quality, quality_section
from sktae._report.scores import Thresholds, scores_section
from sktae._report.subject import Subject
from sktae._report.timeline import timeline_section
from sktae._report.training import histories, training_section
from sktae._report.unusual import leading_columns, unusual_section
from sktae.metrics._detection import _outliers

# More rows than this are not explained, so that the page stays small.
_MOST_ROWS = 200


def write_report(
    detector: Any,
    X: Any,
    path: str | os.PathLike[str],
    *,
    y: Any = None,
    title: str | None = None,
    n_rows: int = 20,
) -> None:
    """Write a report on a detector, and on rows that it judges, as one page of HTML.

    The page shows the quality of the data, the training, the scores with a threshold that can be
    moved, the most unusual rows with the reasons, a map of the codes, and how the detector was
    made. For series, it shows a timeline and the events. It is a single file of at most 3 MB. It
    loads nothing from the network, and it can be read and printed without JavaScript.

    Parameters
    ----------
    detector : estimator
        A fitted detector: an autoencoder, an `AutoencoderEnsemble` or a `WindowedDetector`, a
        `Pipeline` that ends in one, or a search over these.

    X : array-like
        The rows to judge, as `score_samples` takes them. They may be the training rows.

    path : str or path-like
        Where to write the page; its name usually ends in `.html`. An older file of this name is
        replaced once the page is complete.

    y : array-like of shape (n_samples,) or None, default=None
        Labels, if they are known: 1 for outliers and 0 for normal rows, or -1 for outliers and 1
        for normal rows. The page then says how well outliers are found.

    title : str or None, default=None
        The title of the page. None is made from the name of the detector.

    n_rows : int, default=20
        Number of the most unusual rows, or events, that are explained: at most 200.

    Notes
    -----
    The same detector and the same rows give the same page, to the last byte. The page holds values
    of the most unusual rows, so give it only to people who may see the data.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_wine
    >>> from sktae import DenoisingAutoencoder, write_report
    >>> X = load_wine(as_frame=True).data
    >>> detector = DenoisingAutoencoder(max_steps=100, random_state=0).fit(X)
    >>> write_report(detector, X, f"{tempfile.mkdtemp()}/wine.html", title="Unusual wines")
    """
    checked(path)  # before what takes time
    check_scalar(n_rows, "n_rows", Integral, min_val=1, max_val=_MOST_ROWS)
    subject = Subject(detector, X)
    outliers = None
    if y is not None:
        outliers = _outliers(y)
        check_consistent_length(subject.anomalies, outliers)
    name = type(subject.model).__name__
    title = f"Report on {name}" if title is None else str(title)
    content = _content(subject, outliers, int(n_rows), title)
    with replacing(path) as temporary:
        Path(temporary).write_text(content, encoding="utf-8", newline="\n")


def _content(subject: Subject, outliers: np.ndarray | None, n_rows: int, title: str) -> str:
    word = "timestamp" if subject.series else "row"
    quality, thresholds = Quality(subject.frame), Thresholds(subject, outliers)
    found = histories(subject.model)
    facts = thresholds.summary(None if outliers is None else int(outliers.sum()))
    facts["word"] = word
    n_linked = 0 if subject.series else n_rows  # rows of a table that have a card
    sections = [("scores", "Scores", scores_section(subject, thresholds, word, n_linked))]
    tail = []
    if subject.series:
        timeline, known, n_events = timeline_section(subject, n_rows)
        sections.append(("timeline", "Timeline", timeline))
        facts.update(known)
        tail.append(f"They form {counted(n_events, 'event')}.")
    else:
        rows = subject.order[:n_rows]
        reasons = subject.reasons(rows)
        unusual = unusual_section(subject, reasons, rows, outliers)
        sections.append(("unusual", "Unusual rows", unusual))
        leading = [
            [shortened(reasons.names[i]) for i in own[:3]] for own in leading_columns(reasons)
        ]
        (first,) = subject.labels(rows[:1])
        tail.append(f"The most unusual row is {first}, most of all by {leading[0][0]}.")
        if (places := mapped(subject)) is not None:
            sections.append(("map", "Map", map_section(subject, places, outliers)))
            facts["map"] = map_summary(subject, places)
            facts["map"]["reasons"] = leading
    sections.append(
        ("quality", "Data", quality_section(subject.frame, quality, bool(subject.series)))
    )
    if (training := training_section(found, bool(subject.series))) is not None:
        sections.append(("training", "Training", training))
    sections.append(("model", "Model card", card_section(subject, found, word)))
    intro = _intro(subject, outliers, quality, thresholds, word, tail)
    return page(title, sections, joined([intro, data("facts", facts)]))


def _intro(
    subject: Subject,
    outliers: np.ndarray | None,
    quality: Quality,
    thresholds: Thresholds,
    word: str,
    tail: list[str],
) -> Html:
    """Return the summary: figures, and what they say in words."""
    n, d = subject.frame.shape
    count = int(subject.flagged.sum())
    columns = "channel" if subject.series else "column"
    figures = [
        (f"{word}s", f"{n:,}"),
        (f"{columns}s", f"{d:,}"),
        ("flagged", f"{count:,} ({percent(count / n)})"),
        ("values missing", percent(quality.share_missing)),
    ]
    text = [
        f"{type(subject.model).__name__} judged {counted(n, word)} with {counted(d, columns)}.",
        f"It flagged {counted(count, word)}, those with an anomaly score above "
        f"{number(subject.threshold)}.",
    ]
    if count:
        text += tail
    if thresholds.alarms is not None:
        share = thresholds.alarms[thresholds.fitted]
        text.append(f"If all {word}s were normal, about {share * n:,.0f} of them would be flagged.")
    if outliers is not None:
        auroc = roc_auc_score(outliers, subject.anomalies)
        precision = average_precision_score(outliers, subject.anomalies)
        hits = int(outliers[subject.flagged].sum())
        figures.append(("AUROC", f"{auroc:.3f}"))
        text.append(
            f"Of {counted(int(outliers.sum()), 'known outlier')}, {hits:,} are flagged. The AUROC "
            f"is {auroc:.3f}, the average precision {precision:.3f}."
        )
    tiles = (element("div", element("dt", k), element("dd", v)) for k, v in figures)
    return joined(
        [element("p", " ".join(text), class_="lead"), element("dl", *tiles, class_="tiles")]
    )
