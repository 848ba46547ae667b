"""
What do you know of the training rows?
======================================

`training_data` tells a detector whether there are outliers among the rows that it learns from. Here
benign tumours are learnt, along with more and more malignant ones that nobody has labelled, and new
tumours are judged. All 45 models have the same structure, so `fit_many` trains them together.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.utils import shuffle

from sktae import DenoisingAutoencoder, fit_many

X, sort = load_breast_cancer(return_X_y=True)
shares, seeds = [0.0, 0.05, 0.1, 0.2, 0.3], range(3)
told = {"clean": "#0072B2", "unknown": "#777777", "contaminated": "#D55E00"}

cases, models, tables = [], [], []
for seed in seeds:
    benign, malignant = (shuffle(X[sort == label], random_state=seed) for label in (1, 0))
    new, is_malignant = np.vstack([benign[240:], malignant[-100:]]), np.repeat([0, 1], [117, 100])
    for share in shares:
        n_malignant = round(240 * share / (1 - share))
        for name in told:
            cases.append((share, name, seed, new, is_malignant))
            models.append(DenoisingAutoencoder(training_data=name, random_state=seed))
            tables.append(np.vstack([benign[:240], malignant[:n_malignant]]))

found = [
    (share, name, seed, roc_auc_score(is_malignant, -model.score_samples(new)))
    for (share, name, seed, new, is_malignant), model in zip(
        cases, fit_many(models, tables), strict=True
    )
]
table = pd.DataFrame(found, columns=["share", "told", "seed", "AUROC"])
means = table.pivot_table(index="share", columns="told", values="AUROC")[list(told)]
print(means.round(3))

# %%
# Dots are splits of the table, each with a seed of its own; lines are their means. What is true
# does best: "clean" where no malignant tumour is among the rows, "contaminated" from a few of a
# hundred on. "unknown" lies between the two.

figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for shift, (name, color) in zip((-0.2, 0, 0.2), told.items(), strict=True):
    own = table[table["told"] == name]
    axes.scatter(100 * own["share"] + shift, own["AUROC"], s=14, color=color, alpha=0.5)
    axes.plot(100 * means.index, means[name], color=color)
    axes.text(30.7, means[name].iloc[-1], name, color=color, va="center")
axes.set(
    title="What is true of the training rows is best said",
    xlabel="malignant tumours among the training rows, %",
    ylabel="AUROC on new rows",
    xticks=[100 * share for share in shares],
    xlim=(-1, 37),
)
axes.spines[["top", "right"]].set_visible(False)
plt.show()
