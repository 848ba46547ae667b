"""
What do you know of the training rows?
======================================

With `training_data` you say whether there are outliers among the rows that a detector learns from.
Here it learns benign tumours, along with more and more malignant ones that nobody has labelled, and
scores new tumours.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from sklearn.utils import shuffle

from sktae import DenoisingAutoencoder

X, sort = load_breast_cancer(return_X_y=True)
colors = {"clean": "#0072B2", "unknown": "#777777", "contaminated": "#D55E00"}

settings = {"hidden_layer_sizes": (32,), "max_steps": 100}
found = []
for seed in range(3):
    benign, malignant = (shuffle(X[sort == label], random_state=seed) for label in (1, 0))
    new, is_malignant = np.vstack([benign[240:], malignant[-100:]]), np.repeat([0, 1], [117, 100])
    for share in (0.0, 0.05, 0.2):
        rows = np.vstack([benign[:240], malignant[: round(240 * share / (1 - share))]])
        for name in colors:
            model = DenoisingAutoencoder(training_data=name, **settings, random_state=seed)
            auroc = roc_auc_score(is_malignant, -model.fit(rows).score_samples(new))
            found.append((100 * share, name, auroc))
table = pd.DataFrame(found, columns=["share", "said", "auroc"])
means = table.pivot_table(index="share", columns="said", values="auroc")[[*colors]]
print(means.round(3))

# %%
# Dots are random splits of the table, each with a seed of its own; lines are their means. What is
# true does best: "clean" where no malignant tumour was learnt, "contaminated" where one in twenty
# rows or more was one. "unknown" lies between them.

figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
for shift, (name, color) in zip((-0.25, 0, 0.25), colors.items(), strict=True):
    own = table[table["said"] == name]
    axes.scatter(own["share"] + shift, own["auroc"], s=14, color=color, alpha=0.6)
    axes.plot(means.index, means[name], color=color)
    axes.text(20.5, means[name].iloc[-1], name, color=color, va="center")
axes.set(
    title="Say what is true of the training rows",
    xlabel="malignant tumours among the training rows, %",
    ylabel="AUROC on new rows",
    xticks=means.index,
    xlim=(-1, 25),
)
axes.spines[["top", "right"]].set_visible(False)
plt.show()
