"""`to_onnx`: a fitted estimator as a file of ONNX."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F

from sktae._files.container import checked, replacing
from sktae._onnx.arrays import raw_shape
from sktae._onnx.graphs import AutoencoderGraph, EnsembleGraph
from sktae._onnx.steps import Step, step_of
from sktae._outliers.scores import check_scored_as_in_fit
from sktae.base import BaseAutoencoder
from sktae.ensemble import AutoencoderEnsemble


class DetectorGraph(nn.Module):
    """A pipeline that ends in a detector, from rows to all outputs.

    Parameters
    ----------
    steps : list of Step
        What is done to rows before.

    detector : BaseAutoencoder or AutoencoderEnsemble
        A fitted detector.

    graph : nn.Module
        Returns its codes, reconstructions and anomalies.
    """

    def __init__(self, steps: list[Step], detector: Any, graph: nn.Module):
        super().__init__()
        self.steps, self.detector = steps, graph
        self.offset, calibration = detector.offset_, detector.calibration_scores_
        self.calibration = None if calibration is None else torch.from_numpy(calibration)

    @property
    def names(self) -> list[str]:
        """The names of the outputs."""
        calibrated = [] if self.calibration is None else ["p_values"]
        return ["code", "reconstruction", "scores", "labels", *calibrated]

    def forward(self, X: Tensor) -> tuple[Tensor, ...]:
        for step in self.steps:
            X = step.transform(X)
        code, recon, anomalies = self.detector(X)
        for step in reversed(self.steps):
            recon = step.inverse(recon)
        scores = -anomalies
        labels = torch.where(scores - self.offset < 0, -1, 1)
        if self.calibration is None:
            return code, recon, scores, labels
        n_as_low = count_at_most(self.calibration, scores).double()
        return code, recon, scores, labels, (1 + n_as_low) / (1 + len(self.calibration))


def count_at_most(ascending: Tensor, values: Tensor) -> Tensor:
    """Return how many of some numbers in ascending order, (m,), are at most each value, (n,).

    This is `np.searchsorted` with side="right", which has no operator in ONNX: a binary search.
    """
    bits = len(ascending).bit_length()
    ascending = F.pad(ascending, (0, 2**bits - len(ascending)), value=torch.inf)
    count = torch.zeros_like(values, dtype=torch.int64)
    for bit in reversed(range(bits)):
        more = count + 2**bit
        count = torch.where(ascending[more - 1] <= values, more, count)
    return count


def to_onnx(estimator: Any, path: str | PathLike) -> None:
    """Export a fitted estimator to ONNX, for use without Python or without torch.

    The graph has one input, "X": any number of rows as float64, in the shape that the estimator was
    fitted on, with NaN for missing values. Booleans and categories must be numbers. Sequences are
    as long as the longest of the fit; shorter ones end in NaN. The outputs are

    - "code", what `transform` returns;
    - "reconstruction", what `reconstruct` returns, in the units of `X`;
    - "scores", what `score_samples` returns;
    - "labels", what `predict` returns;
    - "p_values", what `p_values` returns, if the estimator was calibrated.

    Rows are not validated: those that the estimator refuses have results without meaning.

    Parameters
    ----------
    estimator : autoencoder, AutoencoderEnsemble or Pipeline
        A fitted estimator. A pipeline may have StandardScaler, MinMaxScaler, MaxAbsScaler,
        RobustScaler, PCA and SimpleImputer before an autoencoder or an ensemble. Reconstructions
        are then in the units of the rows that enter the pipeline.

    path : str or path-like
        Where the file is written. The file is complete or is not there.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sktae import Autoencoder, to_onnx
    >>> X = load_iris().data
    >>> model = Autoencoder(2, max_steps=50, random_state=0).fit(X)
    >>> to_onnx(model, "iris.onnx")  # doctest: +SKIP
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ImportError("to_onnx needs more packages: pip install sktae[onnx]") from error
    checked(path)  # before an export, which takes long
    graph, shape = _graph_of(estimator)
    content = _exported(graph.eval(), shape, type(estimator).__name__)
    with replacing(path) as temporary:
        Path(temporary).write_bytes(content)


def _graph_of(estimator: Any) -> tuple[DetectorGraph, tuple[int, ...]]:
    """Return the graph of an estimator, and the shape of a row."""
    before, detector = [], estimator
    if isinstance(estimator, Pipeline):
        *before, (_, detector) = estimator.steps
    if not isinstance(detector, BaseAutoencoder | AutoencoderEnsemble):
        raise TypeError(_no_export(detector))
    check_is_fitted(estimator)
    check_scored_as_in_fit(detector, "offset_ is a threshold for")
    before = [step for step in before if step[1] not in (None, "passthrough")]
    steps = [step_of(*step) for step in before]
    shape = (before[0][1].n_features_in_,) if before else raw_shape(detector._inputs)
    ensemble = isinstance(detector, AutoencoderEnsemble)
    graph = EnsembleGraph(detector) if ensemble else AutoencoderGraph(detector)
    return DetectorGraph(steps, detector, graph), shape


def _no_export(estimator: Any) -> str:
    name = type(estimator).__name__
    sentence = (
        f"{name} has no export to ONNX, but autoencoders, AutoencoderEnsemble, and pipelines that "
        f"end in one of these have."
    )
    for attribute in ("estimator_", "best_estimator_"):
        if isinstance(getattr(estimator, attribute, None), BaseAutoencoder):
            return f"{sentence} Export the {attribute} of {name}."
    return sentence


def _exported(graph: DetectorGraph, shape: tuple[int, ...], name: str) -> bytes:
    """Return a graph for rows of this shape as a file of ONNX."""
    example = torch.zeros((2, *shape), dtype=torch.float64)
    with _without_notes():
        try:
            rows = ({0: torch.export.Dim("n")},)
            program = torch.export.export(graph, (example,), dynamic_shapes=rows, strict=False)
        except Exception as error:  # torch raises errors of many classes
            raise ValueError(
                f"{name} has no export to ONNX, since torch cannot trace its network for any "
                f"number of rows: it must not read values of tensors, as float(x) does, and must "
                f"count rows by x.shape[0], not by len(x)."
            ) from error
        try:
            onnx_program: Any = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                input_names=["X"],
                output_names=graph.names,
            )
        except torch.onnx.OnnxExporterError as error:
            operator = re.search(r"OpOverload\(op='\w+\.(\w+)'", str(error))
            if operator is None:
                raise
            raise ValueError(
                f"{name} has no export to ONNX, since its network uses the operator "
                f"{operator[1]!r} of torch, which ONNX lacks: write it by others, such as exp, "
                f"log and sums, or score in Python."
            ) from error
    return onnx_program.model_proto.SerializeToString()


@contextmanager
def _without_notes() -> Iterator[None]:
    """Within this context, torch's exporter does not talk about itself.

    It warns of its own use of what it has deprecated, and notes in its log for each operator of
    torchvision that there is no torchvision.
    """

    def concerns(record: logging.LogRecord) -> bool:
        return "torchvision" not in record.getMessage()

    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    log.addFilter(concerns)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.removeFilter(concerns)
