"""Metrics of scores of series, and of codes."""

from sktae.metrics._codes import mutual_information_gap
from sktae.metrics._series import (
    event_f1,
    event_f1_scorer,
    event_precision_recall,
    period,
    vus_pr,
    vus_pr_scorer,
    vus_roc,
)

__all__ = [
    "event_f1",
    "event_f1_scorer",
    "event_precision_recall",
    "mutual_information_gap",
    "period",
    "vus_pr",
    "vus_pr_scorer",
    "vus_roc",
]
