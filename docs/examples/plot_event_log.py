"""
Errors of order in a log
========================

A log is a sequence of words, of which nothing but the order may be wrong. Here a small grammar
makes logs, and three detectors that learnt from good ones are to find spoilt ones: a Transformer
that predicts each word from a code and the words before it, a Markov chain, which knows how likely
a word follows another, and an `IsolationForest` on how often each word occurs.
"""

from collections import Counter
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sktae import TransformerAutoencoder, Vocabulary

rng = np.random.default_rng(0)


def session():
    log = ["login"]
    for _ in range(rng.integers(1, 4)):
        verb = rng.choice(["read", "write"])
        log.append("open")
        for _ in range(rng.integers(1, 5)):
            log += [verb, "error", "retry", verb] if rng.random() < 0.2 else [verb]
        log.append("close")
    return [*log, "logout"]


def swapped(log):
    step = rng.choice([i for i in range(1, len(log) - 2) if log[i] != log[i + 1]])
    return [*log[:step], log[step + 1], log[step], *log[step + 2 :]]


def exchanged(log):
    step = log.index("retry") + 1
    return [*log[:step], "write" if log[step] == "read" else "read", *log[step + 1 :]]


train, good = ([session() for _ in range(n)] for n in (500, 100))
bad = {
    "Two words are swapped": [swapped(log) for log in good],
    "What is retried is not what failed": [exchanged(log) for log in good if "retry" in log],
}
settings = {"batch_size": 32, "learning_rate": 0.02, "max_steps": 200, "random_state": 0}
shape = {"decoder": "autoregressive", "n_tokens": "auto", "hidden_layer_sizes": (32,)}
model = make_pipeline(Vocabulary(), TransformerAutoencoder(2, **shape, **settings)).fit(train)
forest = make_pipeline(CountVectorizer(analyzer=list), IsolationForest(random_state=0)).fit(train)
pairs = Counter(pair for log in train for pair in pairwise(log))
before = Counter(word for log in train for word in log[:-1])
detectors = {
    "Transformer": model.score_samples,
    "Markov chain": lambda logs: [
        np.mean([np.log((pairs[a, b] + 1) / (before[a] + 8)) for a, b in pairwise(log)])
        for log in logs
    ],
    "IsolationForest": forest.score_samples,
}

# %%
# Swapped words make neighbors that never meet in good logs, so the chain finds them. What failed
# before a retry, it has forgotten. Counts are no help with either. On the right are three logs of
# each kind: the darker a word, the more it adds to the anomaly, says `explain`.

figure, panels = plt.subplots(2, 2, figsize=(12, 4), layout="constrained", width_ratios=(1, 3))
for (left, right), (kind, logs) in zip(panels, bad.items(), strict=True):
    for name, score in reversed(detectors.items()):
        found = roc_auc_score([0] * 100 + [1] * len(logs), -np.r_[score(good), score(logs)])
        left.bar_label(left.barh(name, found, color="#0072B2"), fmt="%.2f", padding=2)
    left.set(xlim=(0, 1.25), xticks=[0, 0.5, 1], xlabel="AUROC")
    shown = [log for log in logs if 9 < len(log) < 13][:3]
    for row, reasons in enumerate(model[-1].explain(model[0].transform(shown)).to_numpy()):
        for step, word in enumerate(shown[row]):
            box = {"facecolor": plt.get_cmap("Oranges")(0.7 * reasons[step] / reasons.max())}
            style = {"family": "monospace", "fontsize": 8, "ha": "center", "va": "center"}
            right.text(step, -row, f"{word:^6}", bbox={"edgecolor": "0.8", **box}, **style)
    right.set(title=kind, xlim=(-0.5, 11.5), ylim=(-2.5, 0.5), frame_on=False, xticks=[], yticks=[])
plt.show()
