"""How good codes and detectors are: contestants are fitted to sets of data, with several seeds."""

NAMES = (  # in the page's order
    "tabular",
    "oneclass",
    "ablation",
    "false_alarms",
    "labels",
    "few_labels",
    "missing",
    "categories",
    "imputation",
    "reduction",
    "maps",
    "ordered",
    "sparse",
    "sequences",
    "wide",
    "disentangling",
    "swapping",
    "series",
    "kinds",
    "alarms",
)
