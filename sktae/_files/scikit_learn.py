"""The classes of scikit-learn that a file of a model may hold."""

from importlib import import_module

# Their fitted state is numbers, strings and other estimators of this list. For each there is a
# test. Trees, and whatever keeps functions, are not among them.
ALLOWED = {
    "sklearn.compose": ("ColumnTransformer", "make_column_selector"),
    "sklearn.decomposition": ("PCA", "TruncatedSVD", "IncrementalPCA", "FastICA", "NMF"),
    "sklearn.feature_selection": ("VarianceThreshold",),
    "sklearn.frozen": ("FrozenEstimator",),
    "sklearn.impute": ("SimpleImputer", "KNNImputer", "MissingIndicator"),
    "sklearn.linear_model": ("LogisticRegression", "LinearRegression", "Ridge"),
    "sklearn.pipeline": ("Pipeline", "FeatureUnion"),
    "sklearn.preprocessing": (
        "Binarizer",
        "FunctionTransformer",
        "KBinsDiscretizer",
        "LabelEncoder",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "OneHotEncoder",
        "OrdinalEncoder",
        "PolynomialFeatures",
        "PowerTransformer",
        "QuantileTransformer",
        "RobustScaler",
        "StandardScaler",
        "TargetEncoder",
    ),
}


def name_of(cls: type) -> str | None:
    """Return the name of a class of scikit-learn in files, or None if it is not in the list."""
    package = ".".join(cls.__module__.split(".")[:2])
    known = cls.__name__ in ALLOWED.get(package, ())
    return f"{package}.{cls.__name__}" if known and class_of(package, cls.__name__) is cls else None


def class_of(package: str, name: str) -> type | None:
    """Return a class of the list, or None."""
    return getattr(import_module(package), name) if name in ALLOWED.get(package, ()) else None
