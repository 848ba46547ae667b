"""What the results of detectors amount to: means over sets, and places among published ones."""

import numpy as np
import pandas as pd
from scipy.stats import friedmanchisquare, studentized_range

PUBLISHED = "published"  # says of numbers that they were not measured here
N_HALVES = 200


def of_tables(frame):
    """Return a row for each protocol, setting, detector and training_data, the best first.

    Everything is of the mean over seeds on each set. `rank` is among all that were run, `place` the
    one that a detector would take if it alone joined the published ones, who have theirs among
    themselves. `half_mean` and `half_sd` are of the mean AUROC on random halves of the sets,
    `ap_half_mean` and `ap_half_sd` of the AP.
    """
    parts = {}
    for key, part in frame.groupby(["protocol", "setting"]):
        is_published = part.training_data == PUBLISHED
        own, theirs = (on_sets(each, "auroc") for each in (part[~is_published], part[is_published]))
        precision = means(on_sets(part[~is_published], "ap"))
        measured = (
            means(own)
            .join(precision.set_axis(["ap", "ap_half_mean", "ap_half_sd"], axis=1))
            .assign(
                rank=ranks(own),
                place=places(own, theirs),
                fit_seconds=on_sets(part, "fit_seconds").mean(),
            )
        )
        known = [means(theirs).assign(place=ranks(theirs))] if len(theirs) else []
        parts[key] = pd.concat([measured.sort_values("rank"), *known])
    return pd.concat(parts, names=["protocol", "setting"])


def on_sets(part, column):
    """Give each set a row and each detector a column; take the mean over seeds."""
    return part.pivot_table(index="set", columns=["detector", "training_data"], values=column)


def means(auroc):
    rng, n = np.random.default_rng(0), len(auroc)  # the same halves for all
    member = np.zeros((N_HALVES, n))
    for half in member:
        half[rng.permutation(n)[: max(1, n // 2)]] = 1
    sums, counts = member @ auroc.fillna(0).to_numpy(), member @ auroc.notna().to_numpy()
    halves = pd.DataFrame(sums / counts, columns=auroc.columns)
    columns = {"auroc": auroc.mean(), "half_mean": halves.mean(), "half_sd": halves.std()}
    return pd.DataFrame(columns)


def ranks(auroc):
    return auroc.rank(axis=1, ascending=False).mean()


def critical_difference(frame):
    """Say by how much mean ranks on the sets that all detectors have must differ."""
    auroc = on_sets(frame, "auroc").dropna()
    n, k = auroc.shape
    if n < 2 or k < 3:
        return "There are too few sets or detectors for a test of their ranks."
    p = friedmanchisquare(*auroc.to_numpy().T).pvalue
    # The statistic of Nemenyi's test (Demsar 2006, JMLR 7).
    quantile = studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2)
    difference = quantile * np.sqrt(k * (k + 1) / (6 * n))
    return (
        f"On {n} sets, mean ranks of two of these {k} detectors differ significantly if they are "
        f"more than {difference:.1f} apart (Nemenyi's test, 5 %); p = {p:.1g} for all "
        f"being equally good (Friedman's test)."
    )


def places(auroc, published):
    theirs = published.reindex(auroc.index).dropna(how="all")

    def place(own):
        own = own.round(2)[theirs.index].dropna()  # with the published digits
        known = theirs.loc[own.index]
        better, same = known.gt(own, axis=0).sum(axis=1), known.eq(own, axis=0).sum(axis=1)
        return (1 + better + same / 2).mean()

    return auroc.apply(place)


def of_series(frame):
    """Return means over series, of the means over seeds, the best detector first."""
    by = ["kind", "fit", "detector"]
    on_series = frame.groupby([*by, "set"])[["vus_pr", "vus_roc", "seconds"]].mean().groupby(by)
    found = on_series.mean().assign(series=on_series.size())
    return found.sort_values(["kind", "fit", "vus_pr"], ascending=[True, True, False])
