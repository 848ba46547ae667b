"""A table with missing values and categories: which entries are wrong?"""

import matplotlib.pyplot as plt
import numpy as np
from palmerpenguins import load_penguins
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from skrub import TableVectorizer

from sktae import MaskedAutoencoder

# Splits of the table, of which each has wrong entries of its own.
_SPLITS = 3


def split(seed):
    """Return birds to learn, new ones, and where an entry of the new ones is another bird's."""
    birds = load_penguins().dropna(subset="body_mass_g").sample(frac=1, random_state=seed)
    learned, new = birds[:200], birds[200:].reset_index(drop=True)
    rng = np.random.default_rng(seed)
    others = new.sample(frac=1, random_state=seed).reset_index(drop=True)
    wrong = np.zeros(new.shape, dtype=bool)
    for row in rng.choice(len(new), 30, replace=False):
        wrong[row, rng.integers(new.shape[1])] = True
    mixed = new.mask(wrong, others)
    return learned, mixed, wrong & ~(mixed.eq(new) | mixed.isna() & new.isna()).to_numpy()


def run():
    """Return numbers for the page and a figure."""
    found = {"ours": [], "forest": [], "alarms": [], "caught": [], "first": []}
    for seed in range(_SPLITS):
        learned, new, wrong = split(seed)
        is_wrong = wrong.any(axis=1)
        model = MaskedAutoencoder(training_data="clean", false_alarm_rate=0.05, random_state=seed)
        scores, flagged = model.fit(learned).score_samples(new), model.predict(new) == -1
        reasons = model.explain(new)
        prepared = TableVectorizer(), SimpleImputer(), IsolationForest(random_state=seed)
        forest = make_pipeline(*prepared).fit(learned).score_samples(new)
        first = wrong[np.arange(len(new)), reasons.to_numpy().argmax(axis=1)]
        found["ours"].append(average_precision_score(is_wrong, -scores))
        found["forest"].append(average_precision_score(is_wrong, -forest))
        found["alarms"].append(flagged[~is_wrong].mean())
        found["caught"].append(flagged[is_wrong].mean())
        found["first"].append(first[is_wrong & flagged].mean())
        if seed == 0:
            figure = draw(model, new, wrong, scores, reasons)
    return {name: f"{np.mean(values):.0%}" for name, values in found.items()}, figure


def draw(model, new, wrong, scores, reasons):
    figure, panels = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    is_wrong, bins = wrong.any(axis=1), np.linspace(scores.min(), scores.max(), 30)
    both = scores[~is_wrong], scores[is_wrong]
    colors = ["#56B4E9", "#D55E00"]
    panels[0].hist(both, bins, stacked=True, color=colors, label=["right", "wrong entry"])
    panels[0].axvline(model.offset_, color="black", linestyle="--", label="threshold")
    panels[0].set(xlabel="score", ylabel="new birds", title="the lower, the more unusual")
    panels[0].legend(frameon=False, loc="upper left", fontsize=9)
    for axes, row in zip(panels[1:], scores.argsort(), strict=False):
        names = [f"{name}: {value}" for name, value in new.loc[row].items()]
        bars = np.where(wrong[row], colors[1], colors[0])
        axes.barh(names, reasons.loc[row], color=bars)
        axes.invert_yaxis()
        axes.set(title=f"score {scores[row]:.1f}", xlabel="contribution")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
    return figure
