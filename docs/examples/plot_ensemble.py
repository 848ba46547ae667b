"""
How far to trust one fit
========================

Where a fit starts is chance, and so is a part of every score. Here autoencoders learn two sorts of
wine and are shown the third. Each is trained with five seeds. Two fits agree on which wines are
strange, less so on which of two is the stranger. In an `AutoencoderEnsemble` what is chance
cancels: the more members, the less it matters which seed one happened to take.
"""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr
from sklearn.datasets import load_wine
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sktae import Autoencoder, AutoencoderEnsemble

X, sort = load_wine(return_X_y=True)
train, rest = train_test_split(X[sort != 2], random_state=0)
test = np.vstack([rest, X[sort == 2]])
strange = np.repeat([0, 1], [len(rest), np.sum(sort == 2)])

sizes, agreement, auroc = [1, 2, 4], [], []
print("members   agreement of two seeds   AUROC: mean and deviation over seeds")
for size in sizes:
    ensemble = AutoencoderEnsemble(
        Autoencoder(hidden_layer_sizes=(32,), max_steps=100), n_estimators=size
    )
    scores = [
        ensemble.set_params(random_state=seed).fit(train).score_samples(test) for seed in range(5)
    ]
    agreement.append([spearmanr(*pair).statistic for pair in combinations(scores, 2)])
    auroc.append([roc_auc_score(strange, -found) for found in scores])
    figures = np.mean(agreement[-1]), np.mean(auroc[-1]), np.std(auroc[-1])
    print("{:7}   {:22.3f}   {:.3f} {:.3f}".format(size, *figures))

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for axes, found in (left, agreement), (right, auroc):
    for place, values in enumerate(found):
        spread = np.linspace(-0.12, 0.12, len(values))  # side by side, so that none hides another
        axes.scatter(place + spread, values, s=14, color="#0072B2", alpha=0.7)
    axes.plot([np.mean(values) for values in found], color="#D55E00", label="mean")
    axes.set(xlabel="members of the ensemble", xticks=range(len(sizes)), xticklabels=sizes)
left.set(title="Do two seeds rank the wines alike?", ylabel="rank correlation, each pair of seeds")
right.set(title="Is the third sort found?", ylabel="AUROC, each seed")
left.legend(loc="lower right")
plt.show()
