"""Metrics of scores of rows and of series, and of codes."""

from sktae.metrics._codes import mutual_information_gap
from sktae.metrics._detection import (
    average_precision_scorer,
    precision_at_k_scorer,
    roc_auc_scorer,
)
from sktae.metrics._neighbors import (
    continuity,
    map_scorer,
    neighborhood_hit,
    triplet_accuracy,
    trustworthiness,
)
from sktae.metrics._series import (
    event_f1,
    event_f1_scorer,
    event_precision_recall,
    period,
    vus_pr,
    vus_pr_scorer,
    vus_roc,
)
from sktae.metrics._sparse import dead_units, l0, loss_recovered, sparse_probing_accuracy

__all__ = [
    "average_precision_scorer",
    "continuity",
    "dead_units",
    "event_f1",
    "event_f1_scorer",
    "event_precision_recall",
    "l0",
    "loss_recovered",
    "map_scorer",
    "mutual_information_gap",
    "neighborhood_hit",
    "period",
    "precision_at_k_scorer",
    "roc_auc_scorer",
    "sparse_probing_accuracy",
    "triplet_accuracy",
    "trustworthiness",
    "vus_pr",
    "vus_pr_scorer",
    "vus_roc",
]
