"""How good codes and detectors are: contestants are fitted to sets of data, with several seeds."""

NAMES = ("tabular", "ablation", "reduction", "disentangling", "series")  # in the page's order
