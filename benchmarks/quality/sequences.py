"""How many steps are best predicted at once, and how long are fits of transformers?

All sets are made: *chain* and *log* are 2000 sequences of up to 40 tokens, from a Markov chain of
30 tokens and from a small grammar; the others are 1000 sequences of numbers. *digits* are those of
scikit-learn, line by line and pixel by pixel. Half as many new sequences test a model. For numbers,
R² is the share of their variance that comes back from the code, in percent; for tokens, the score
is their mean log-likelihood. AUROC is how well sequences are told from others in which a quarter of
the steps is reversed, or one token replaced by another, in percent. What is not named is as by
default, but there is no calibration. There is one seed, since fits to tokens take minutes.
"""

from functools import partial

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from benchmarks._lib.tables import circumstances, markdown, pairs
from sktae import AutoregressiveAutoencoder, TransformerAutoencoder

TITLE = "Sequences: patches of autoregressive models, steps of transformers"
KEYS, SEEDS = ["data", "model", "seed"], 1
NUMBERS = {
    f"{decoder}, patch_size={patch_size}": partial(
        AutoregressiveAutoencoder, decoder=decoder, patch_size=patch_size
    )
    for decoder in ("linear", "neural")
    for patch_size in (1, "auto")
} | {
    f"transformer, {name}": partial(
        TransformerAutoencoder, hidden_layer_sizes=widths, learning_rate=rate, max_steps=steps
    )
    for name, widths, rate, steps in (
        ("one block, 300 steps", (64,), 0.002, 300),
        ("one block", (64,), 0.002, 500),
        ("two blocks", (64, 64), 0.001, 500),
    )
}
TOKENS = {
    f"{decoder}, {steps} steps": partial(
        TransformerAutoencoder, n_tokens="auto", decoder=decoder, max_steps=steps
    )
    for decoder in ("parallel", "autoregressive")
    for steps in (300, 500)
}
CONTESTANTS = {**NUMBERS, **TOKENS}


def chain(n, rng):
    steps = rng.dirichlet(np.full(30, 0.1), 30).cumsum(axis=1)
    X = rng.integers(30, size=(n, 40)).astype(float)
    for t in range(1, 40):
        row = steps[X[:, t - 1].astype(int)]
        X[:, t] = (row[:, :-1] < rng.random((n, 1))).sum(axis=1)
    return np.where(np.arange(40) < rng.integers(10, 41, (n, 1)), X, np.nan)


def log(n, rng):
    """Draw logs, in which files are opened, read or written, and closed."""
    X = np.full((n, 40), np.nan)
    for row in X:
        tokens = [0]
        for _ in range(rng.integers(1, 5)):
            verb, opened = rng.choice([2, 3]), [1]
            for _ in range(rng.integers(1, 6)):
                opened += [verb, 5, 6, verb] if rng.random() < 0.2 else [verb]
            tokens += [*opened, 4]
        tokens = [*tokens, 7][:40]
        row[: len(tokens)] = tokens
    return X


def waves(n, rng):
    x = rng.uniform(0, 6, (n, 1)) + np.arange(32) / 3
    return np.stack([np.sin(x), np.cos(x)], axis=2) + 0.3 * rng.normal(size=(n, 32, 2))


def rates(n, rng):
    x = rng.uniform(0, 6, (n, 1)) + np.arange(48) * rng.uniform(0.2, 0.6, (n, 1))
    return (np.sin(x) + 0.1 * rng.normal(size=x.shape))[..., np.newaxis]


def beats(n, rng):
    x = np.arange(96) - 48 + rng.normal(0, 2, (n, 1))
    pulse = np.exp(-((x / 4) ** 2)) - 0.4 * np.exp(-(((x - 12) / 8) ** 2))
    return (pulse + 0.05 * rng.normal(size=x.shape))[..., np.newaxis]


def digits(n, rng, n_channels=8):
    X = load_digits().data
    return X[rng.permutation(len(X))[:n]].reshape(-1, 64 // n_channels, n_channels)


SETS = {
    "digits by lines": (NUMBERS, 1500, digits),
    "log": (TOKENS, 3000, log),
    "digits by pixels": (NUMBERS, 1500, partial(digits, n_channels=1)),
    "waves": (NUMBERS, 1500, waves),
    "waves of many rates": (NUMBERS, 1500, rates),
    "beats": (NUMBERS, 1500, beats),
    "chain": (TOKENS, 3000, chain),
}


def changed(X, rng):
    """Return sequences in which something is not in order."""
    X = X.copy()
    for x in X:
        if X.ndim == 2:
            step = rng.integers(1, (~np.isnan(x)).sum() - 1)
            x[step] = (x[step] + rng.integers(1, np.nanmax(X))) % (np.nanmax(X) + 1)
        else:
            first, length = rng.integers(len(x) - len(x) // 4), len(x) // 4
            x[first : first + length] = x[first : first + length][::-1].copy()
    return X


def measured(data, name, seed, size):
    contestants, n, draw = SETS[data]
    rng = np.random.default_rng(seed)
    X = draw(60 if size == "tiny" else n, rng)
    train, new = np.split(X, [2 * len(X) // 3])
    model = contestants[name](random_state=seed, calibration=None)
    if size == "tiny":
        model.set_params(max_steps=2)
    model.fit(train)
    scores = model.score_samples(new), model.score_samples(changed(new, rng))
    row = {
        "score": model.score(new),
        "auroc": 100 * roc_auc_score(np.repeat([1, 0], len(new)), np.concatenate(scores)),
    }
    return [{**dict(zip(KEYS, (data, name, seed), strict=True)), **row}]


def sets(args):
    for seed in range(args.repeats):
        for data, (contestants, *_) in SETS.items():
            if args.sets and not any(part in data for part in args.sets):
                continue
            names = [name for name in args.only if name in contestants]
            yield (
                f"{data}, seed {seed}",
                [partial(measured, data, name, seed, args.size) for name in names],
                (),
            )


def tables(frame):
    for contestants, title in ((NUMBERS, "R² / AUROC"), (TOKENS, "Score / AUROC")):
        part = frame[frame.model.isin(contestants)]
        if part.empty:
            continue
        means = part.groupby(["data", "model"])[["score", "auroc"]].mean()
        unit = 100 if contestants is NUMBERS else 1
        cells = pairs(unit * means.score, " / ", means.auroc, "{:.3g}")
        names = [name for name in SETS if name in cells.index.get_level_values("data")]
        wide = cells.unstack("data").reindex(index=contestants, columns=names)
        yield f"**{title}**"
        yield markdown(wide.dropna(how="all"))
    yield circumstances(frame)
