"""How good codes and detectors are: contestants are fitted to sets of data, with several seeds."""

# In the page's order.
NAMES = ("tabular", "ablation", "missing", "imputation", "reduction", "disentangling", "series")
