"""What the results of series_quality.py amount to."""

import pandas as pd

KINDS = {"uni": "one channel", "multi": "several channels"}
PUBLISHED = "published"


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return means over series, of the means over seeds, the best detector first."""
    columns = [name for name in ("vus_pr", "vus_roc", "seconds") if name in frame]
    on_sets = frame.groupby(["kind", "fit", "detector", "set"])[columns].mean()
    found = on_sets.groupby(level=["kind", "fit", "detector"])
    means = found.mean().assign(series=found.size())
    return means.sort_values(["kind", "fit", "vus_pr"], ascending=[True, True, False])
