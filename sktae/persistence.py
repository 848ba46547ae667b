"""Models in files: `save` and `load`."""

import copy
import math
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from inspect import get_annotations
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
import sklearn
import torch
from sklearn.utils.validation import check_is_fitted

import sktae._files.scikit_learn as scikit_learn
from sktae._engine.net import AutoencoderNet
from sktae._engine.parallel import DataParallelNet
from sktae._files import container
from sktae._files.encoding import Decoder, Encoder, from_text, to_text
from sktae._outliers import measures
from sktae._outliers.model import OutlierModel
from sktae._training.spec import Spec
from sktae.base import BaseAutoencoder
from sktae.ensemble import AutoencoderEnsemble
from sktae.imputer import AutoencoderImputer
from sktae.inputs.categories import Categories
from sktae.inputs.columns import Column, Columns
from sktae.inputs.images import Image
from sktae.inputs.sequences import Sequence
from sktae.inputs.tabular import Tabular
from sktae.parameters import Declared
from sktae.supervised import AutoencoderClassifier, AutoencoderRegressor
from sktae.timeseries.channels import Channels
from sktae.timeseries.detector import WindowedDetector
from sktae.timeseries.errors import WindowErrors
from sktae.timeseries.kinds import Jumps, Kinds, Levels
from sktae.timeseries.reverse_windowing import OverlapAverage, WindowAverage
from sktae.timeseries.series_scales import SeriesScales
from sktae.timeseries.series_stream import SeriesStream
from sktae.timeseries.shape import Shape
from sktae.timeseries.streams import RowStream, Streams, WindowStream
from sktae.timeseries.windows import Layout
from sktae.vocabulary import Vocabulary

# The number of the format of files that `save` writes. `load` reads all up to it.
_FORMAT = 1

_CLASSES = {
    cls.__name__: cls
    for cls in (
        AutoencoderClassifier,
        AutoencoderEnsemble,
        AutoencoderImputer,
        AutoencoderNet,
        AutoencoderRegressor,
        DataParallelNet,
        Vocabulary,
        WindowedDetector,
        *(Spec, Tabular, Columns, Column, Categories, Image, Sequence),
        *(OutlierModel, measures.Ellipsoid, measures.Ranks, measures.Space),
        *(measures.KnownOutliers, measures.Neighbors, measures.Tail),
        *(SeriesScales, Channels, Layout, WindowErrors, Shape, Jumps, Levels, Kinds),
        *(SeriesStream, Streams, WindowStream, RowStream, OverlapAverage, WindowAverage),
    )
}
# Types of Python that may be values, as in make_column_selector(dtype_include=float).
_BUILTIN = (bool, int, float, str, object)
# How the names of users' classes begin in files.
_OWN = "own:"
# Scores of so many rows are in a file, by which `load` sees whether a model still does the same,
# up to this share.
_CHECK_ROWS, _TOLERANCE = 4, 1e-3


def save(estimator: Any, path: str | PathLike) -> None:
    """Write a fitted estimator to a file.

    A file holds arrays, as safetensors, and a description in JSON. Nothing in it can run code. The
    file appears when it is complete; until then, an older one of the same name stays as it is.

    Parameters
    ----------
    estimator : estimator
        Any fitted estimator of sktae, or a `Pipeline`, `FeatureUnion` or `ColumnTransformer` of
        them and of scikit-learn's scalers, encoders, imputers and decompositions. Of a search, save
        its `best_estimator_`. Or a stream, as `WindowedDetector.stream` returns, with its detector.

    path : str or path-like
        Where to write the file; its name usually ends in `.sktae`.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, load, save
    >>> X, _ = load_iris(return_X_y=True)
    >>> model = Autoencoder(2, max_steps=100, random_state=0).fit(X)
    >>> path = f"{tempfile.mkdtemp()}/iris.sktae"
    >>> save(model, path)
    >>> bool((load(path).score_samples(X) == model.score_samples(X)).all())
    True
    """
    if not isinstance(estimator, SeriesStream):  # it has a detector that is fitted
        check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        raise TypeError(
            f"{type(estimator).__name__} is a search, which files do not hold: save its "
            f"best_estimator_."
        )
    encoder = Encoder(_name)
    description = {
        "format": _FORMAT,
        "versions": _versions(),
        "estimator": encoder.encode(estimator),
        "checks": [],
    }
    for number, part in enumerate(list(encoder.objects)):
        if _is_checked(part):
            rows = _check_rows(part)
            check = {"number": number, "rows": rows, "scores": _check_scores(part, rows)}
            description["checks"].append(encoder.encode(check))
    container.write(path, to_text(description), encoder.arrays)


def load(path: str | PathLike, trusted: Iterable[Any] = ()) -> Any:
    """Read an estimator from a file that `save` has written.

    A file cannot run code, and one that is damaged is refused. A model that was trained on a GPU is
    opened on the CPU where there is none.

    Parameters
    ----------
    path : str or path-like
        The file.

    trusted : sequence of type, default=()
        Your own classes of autoencoders, if the file holds objects of them.

    Returns
    -------
    estimator : estimator
        The fitted estimator, or the stream. It gives the same results as the one that was saved,
        and goes on where that one stopped, with training or with the series.
    """
    name = container.named(path)
    if not isinstance(trusted, list | tuple | set) or not all(isinstance(c, type) for c in trusted):
        raise TypeError(f"trusted must be a list of classes. Got {trusted!r} instead.")
    text, arrays = container.read(name)
    try:
        description = from_text(text)
        number = description["format"]
        if not (type(number) is int and number >= 1):
            raise ValueError(f"{number!r} is no number of a format")
    except Exception as error:
        raise ValueError(f"{name!r} is damaged: {error}.") from error
    if number > _FORMAT:
        newer = description.get("versions", {}).get("sktae")
        raise ValueError(
            f"{name!r} has format {number}, written by sktae {newer}; this version reads formats "
            f"up to {_FORMAT}. Upgrade sktae."
        )
    own = {_own_name(cls): cls for cls in trusted}
    missing = _own_classes(description) - own.keys()
    if missing:
        classes = ", ".join(name.removeprefix(_OWN) for name in sorted(missing))
        raise ValueError(
            f"{name!r} holds objects of {classes}: pass these classes as trusted, if you trust "
            f"them."
        )
    decoder = Decoder(lambda name: own.get(name) or _class(name), _type, arrays)
    try:
        return _decoded(decoder, **description)
    except Exception as error:
        raise ValueError(
            f"{name!r} is damaged: {type(error).__name__}, {error}. If it was written by other "
            f"versions ({description.get('versions')}), try these."
        ) from error


def _decoded(decoder: Decoder, format: int, versions: Any, estimator: Any, checks: Any) -> Any:
    """Return the estimator in a description; unknown entries are errors of the call."""
    result = decoder.decode(estimator)
    if not (hasattr(result, "get_params") or isinstance(result, SeriesStream)):
        raise TypeError(f"{result!r} is no estimator")
    for part in decoder.objects.values():
        if isinstance(part, Declared):
            part._validate_params()
    checked = set()
    for check in decoder.decode(checks):
        part = decoder.objects[check["number"]]
        _check_complete(part)
        scores = _check_scores(part, check["rows"])
        if not np.allclose(scores, check["scores"], rtol=_TOLERANCE, atol=_TOLERANCE):
            raise ValueError(f"{part!r} gives other scores than when it was saved")
        checked.add(check["number"])
    if checked != {number for number, part in decoder.objects.items() if _is_checked(part)}:
        raise ValueError("there are detectors or streams without scores to check")
    decoder.check_all_used()
    return result


def _is_checked(part: Any) -> bool:
    """Return whether an object of a file has scores to check: a fitted detector, or a stream."""
    kinds = BaseAutoencoder, AutoencoderEnsemble, WindowedDetector
    return isinstance(part, SeriesStream) or (isinstance(part, kinds) and hasattr(part, "offset_"))


def _check_complete(detector: Any) -> None:
    """Raise if a detector or a stream of series lacks attributes that its classes declare."""
    if isinstance(detector, WindowedDetector | SeriesStream):
        declared = [name for cls in type(detector).__mro__ for name in get_annotations(cls)]
        missing = [name for name in declared if not hasattr(detector, name)]
        if missing:
            raise ValueError(f"{detector!r} has no {', '.join(missing)}")


def _check_rows(detector: Any) -> np.ndarray | None:
    """Return some rows, as raw rows: of the training, if the detector has some; None of streams."""
    if isinstance(detector, SeriesStream):
        return None
    if isinstance(detector, WindowedDetector):
        return detector._last_rows[-2 * detector.window_size_ :]
    inputs = detector._inputs
    if isinstance(detector, AutoencoderEnsemble):
        x = np.random.default_rng(0).standard_normal((_CHECK_ROWS, *inputs.shape))
    else:
        memory = detector._fitted.memory.x
        x = memory[:: math.ceil(len(memory) / _CHECK_ROWS)].numpy()
    return inputs.to_array(x.astype(np.float32), np.dtype(np.float64))


def _check_scores(detector: Any, rows: np.ndarray | None) -> np.ndarray:
    """Return the scores of raw rows by the settings of the fit, and the threshold.

    Of a stream, those that it would still return.
    """
    if isinstance(detector, SeriesStream):
        return detector._rest()
    settings = {name: detector._scored_by[name] for name in detector._score_parameters}
    detector = copy.copy(detector).set_params(**settings)
    if isinstance(detector, WindowedDetector):
        scores = detector._scores(rows)
    else:
        table = detector._inputs.to_table(rows)
        names = getattr(detector, "feature_names_in_", None)
        if names is not None and isinstance(table, np.ndarray) and table.ndim == 2:
            table = pd.DataFrame(table, columns=names)
        scores = detector.score_samples(table)
    calibration = detector.calibration_scores_
    ends = [] if calibration is None else [calibration[0], calibration[-1]]
    return np.array([*scores, detector.offset_, *ends])


def _name(cls: type) -> str | None:
    """Return the name of a class in files."""
    if _known(cls.__name__) is cls:
        return cls.__name__
    if cls in _BUILTIN:
        return cls.__name__
    if issubclass(cls, np.generic) and np.dtype(cls).kind in "biuf":
        return f"numpy.{np.dtype(cls).name}"
    if issubclass(cls, torch.optim.Optimizer) and getattr(torch.optim, cls.__name__, None) is cls:
        return f"torch.optim.{cls.__name__}"
    if issubclass(cls, BaseAutoencoder):
        return _own_name(cls)
    return scikit_learn.name_of(cls)


def _known(name: str) -> type | None:
    """Return the class of this library that has a name, or None."""
    if name in _CLASSES:
        return _CLASSES[name]
    return next((cls for cls in _subclasses(BaseAutoencoder) if cls.__name__ == name), None)


def _subclasses(cls: Any) -> Iterator[type]:
    """Yield the autoencoders of the gallery."""
    for child in cls.__subclasses__():
        if child.__module__.startswith("sktae.autoencoders."):
            yield child
        yield from _subclasses(child)


def _own_name(cls: type) -> str:
    return f"{_OWN}{cls.__module__}.{cls.__qualname__}"


def _own_classes(node: Any) -> set[str]:
    """Return the names of users' classes in a description."""
    entries = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    names = {name for entry in entries for name in _own_classes(entry)}
    if isinstance(node, dict) and str(node.get("class", "")).startswith(_OWN):
        names.add(node["class"])
    return names


def _class(name: str) -> type:
    """Return the class of which a file may hold objects."""
    cls = _known(name) or scikit_learn.class_of(*name.rpartition(".")[::2])
    if cls is None:
        raise ValueError(f"{name!r} is not a class that files may hold")
    return cls


def _type(name: str) -> type:
    """Return the class that may be a value by itself."""
    package, _, own = name.rpartition(".")
    builtin = {cls.__name__: cls for cls in _BUILTIN}
    if name in builtin:
        return builtin[name]
    if package == "numpy" and np.dtype(own).kind in "biuf":
        return np.dtype(own).type
    cls = getattr(torch.optim, own, None)
    if (
        package == "torch.optim"
        and isinstance(cls, type)
        and issubclass(cls, torch.optim.Optimizer)
    ):
        return cls
    raise ValueError(f"{name!r} is not a class that files may hold")


def _versions() -> dict[str, str]:
    return {
        "sktae": version("sktae"),
        "scikit-learn": sklearn.__version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
