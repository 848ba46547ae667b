"""
Why is this row unusual?
========================

A score says that a row is unusual, and `explain` says which features are the cause: contributions
that add up to minus the score. Here three benign tumours are spoilt, each in another way, and a
detector that has learnt the others says what is wrong with them.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from sktae import DenoisingAutoencoder

data, benign = load_breast_cancer(return_X_y=True, as_frame=True)
data = data[benign == 1].reset_index(drop=True)
train, spoilt = data[3:], data[:3].copy()

pair = ["mean compactness", "mean concavity"]
spoilt.loc[0, "mean area"] = train["mean area"].quantile(0.1)
spoilt.loc[1, pair] = spoilt.loc[1, pair[::-1]].to_numpy()
spoilt.loc[2, "mean symmetry"] = 0
slips = {
    "The area of a small tumour": ["mean area"],
    "Two numbers are swapped": pair,
    "A missing number became 0": ["mean symmetry"],
}

model = DenoisingAutoencoder(random_state=0).fit(train)
scores, contributions = model.score_samples(spoilt), model.explain(spoilt)

# %%
# What was spoilt, in orange, comes first. In the first two rows each number is ordinary on its own,
# and impossible only beside the others. What is tied to a spoilt number looks wrong beside it, and
# so has a share, too.

figure, panels = plt.subplots(1, 3, figsize=(13, 3.6), layout="constrained")
for row, (axes, (slip, features)) in enumerate(zip(panels, slips.items(), strict=True)):
    largest = contributions.loc[row].nlargest(5)[::-1]
    colors = ["#D55E00" if name in features else "#0072B2" for name in largest.index]
    axes.barh(largest.index, largest, color=colors)
    axes.set_title(f"{slip}\nscore {scores[row]:.0f}, threshold {model.offset_:.0f}", fontsize=11)
    axes.set_xlabel("contribution")
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
