"""
Why is this row unusual?
========================

A score says that a row is unusual; the errors of its features say why. Here a benign tumour keeps
all its measurements but one: its mean area is that of a smaller benign tumour. Each number on its
own is ordinary. Together they are impossible, since an area follows from a radius.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer

from sktae import Autoencoder

data, benign = load_breast_cancer(return_X_y=True, as_frame=True)
data = data[benign == 1]
train, forged = data.iloc[1:], data.iloc[[0]].copy()
forged["mean area"] = train["mean area"].quantile(0.1)

model = Autoencoder(random_state=0).fit(train)
rank = (model.score_samples(train) < model.score_samples(forged)).mean()
print(f"{rank:.1%} of the training rows are more unusual than the forged row.")

# %%
# Errors are in squared units of each column, so each is compared with its usual size.

usual = model.reconstruction_error(train, per_feature=True).mean(axis=0)
ratio = model.reconstruction_error(forged, per_feature=True)[0] / usual
order = ratio.argsort()[-8:]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.scatter(train["mean radius"], train["mean area"], s=10, c="#999999", label="training rows")
left.scatter(forged["mean radius"], forged["mean area"], s=90, c="#D55E00", marker="X")
left.annotate(
    "the forged row",
    (forged["mean radius"].item(), forged["mean area"].item()),
    xytext=(10, 0),
    textcoords="offset points",
    va="center",
)
left.set(title="Two of 30 measurements", xlabel="mean radius", ylabel="mean area")
left.legend(loc="upper left")
names = model.feature_names_in_[order]
colors = ["#D55E00" if name == "mean area" else "#0072B2" for name in names]
right.barh(names, ratio[order], color=colors)
right.set(title="What the autoencoder could not restore", xlabel="squared error / its usual size")
plt.show()
