"""
Why is this row unusual?
========================

A score says that a row is unusual, and `explain` says which features are the cause: contributions
that add up to minus the score. Here three benign tumors are spoiled, each in another way, and a
detector that has learned the others says what is wrong with them.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from sktae import DenoisingAutoencoder
from sktae.plot import ReasonsDisplay

data, benign = load_breast_cancer(return_X_y=True, as_frame=True)
data = data[benign == 1].reset_index(drop=True)
train, spoiled = data[3:], data[:3].copy()

pair = ["mean compactness", "mean concavity"]
spoiled.loc[0, "mean area"] = train["mean area"].quantile(0.1)
spoiled.loc[1, pair] = spoiled.loc[1, pair[::-1]].to_numpy()
spoiled.loc[2, "mean symmetry"] = 0
slips = [
    "The area of a small tumor",
    "Compactness and concavity swapped",
    "A missing symmetry became 0",
]

model = DenoisingAutoencoder(random_state=0).fit(train)
scores = model.score_samples(spoiled)

# %%
# What was spoiled comes first, with its value and the value that the other columns let expect. In
# the first two rows each number is ordinary on its own, and impossible only beside the others. What
# is tied to a spoiled number looks wrong beside it, and so has a share, too.

figure, panels = plt.subplots(1, 3, figsize=(14, 3.8), layout="constrained")
for row, (axes, slip) in enumerate(zip(panels, slips, strict=True)):
    ReasonsDisplay.from_estimator(model, spoiled.iloc[[row]], ax=axes)
    axes.set_title(f"{slip}\nscore {scores[row]:.0f}, threshold {model.offset_:.0f}", fontsize=11)
plt.show()
