"""Autoencoders for scikit-learn."""

import sktae.plot as plot  # noqa: F401  # so that it need not be imported by itself
from sktae._docstrings import add_links, citation
from sktae._engine.net import AutoencoderNet
from sktae._engine.parallel import DataParallelNet
from sktae._fit_many import fit_many
from sktae._onnx.export import to_onnx
from sktae._pipelines import events, explain, p_values, select
from sktae._report.report import write_report
from sktae._saelens import to_saelens
from sktae._versions import show_versions
from sktae.autoencoders.attention import AttentionAutoencoder
from sktae.autoencoders.autoregressive import AutoregressiveAutoencoder
from sktae.autoencoders.binary import BinaryAutoencoder
from sktae.autoencoders.categorical import CategoricalAutoencoder
from sktae.autoencoders.content_style import ContentStyleAutoencoder
from sktae.autoencoders.contractive import ContractiveAutoencoder
from sktae.autoencoders.convolutional import ConvolutionalAutoencoder
from sktae.autoencoders.convolutional_sequence import ConvolutionalSequenceAutoencoder
from sktae.autoencoders.convolutional_sequence_variational import (
    ConvolutionalSequenceVariationalAutoencoder,
)
from sktae.autoencoders.convolutional_variational import ConvolutionalVariationalAutoencoder
from sktae.autoencoders.convolutional_vector_quantized import (
    ConvolutionalVectorQuantizedAutoencoder,
)
from sktae.autoencoders.denoising import DenoisingAutoencoder
from sktae.autoencoders.disentangled import DisentangledAutoencoder
from sktae.autoencoders.masked import MaskedAutoencoder
from sktae.autoencoders.neighbor import NeighborAutoencoder
from sktae.autoencoders.plain import Autoencoder
from sktae.autoencoders.recurrent import RecurrentAutoencoder
from sktae.autoencoders.sparse import SparseAutoencoder
from sktae.autoencoders.transformer import TransformerAutoencoder
from sktae.autoencoders.variational import VariationalAutoencoder
from sktae.autoencoders.vector_quantized import VectorQuantizedAutoencoder
from sktae.autoencoders.vision_transformer import VisionTransformerAutoencoder
from sktae.base import BaseAutoencoder
from sktae.ensemble import AutoencoderEnsemble
from sktae.imputer import AutoencoderImputer
from sktae.persistence import load, save
from sktae.search import StackedGridSearchCV, StackedRandomizedSearchCV
from sktae.supervised import AutoencoderClassifier, AutoencoderRegressor
from sktae.timeseries.detector import WindowedDetector
from sktae.vocabulary import Vocabulary

__version__ = "0.1.0.dev0"

__all__ = [
    "AttentionAutoencoder",
    "Autoencoder",
    "AutoencoderClassifier",
    "AutoencoderEnsemble",
    "AutoencoderImputer",
    "AutoencoderNet",
    "AutoencoderRegressor",
    "AutoregressiveAutoencoder",
    "BaseAutoencoder",
    "BinaryAutoencoder",
    "CategoricalAutoencoder",
    "ContentStyleAutoencoder",
    "ContractiveAutoencoder",
    "ConvolutionalAutoencoder",
    "ConvolutionalSequenceAutoencoder",
    "ConvolutionalSequenceVariationalAutoencoder",
    "ConvolutionalVariationalAutoencoder",
    "ConvolutionalVectorQuantizedAutoencoder",
    "DataParallelNet",
    "DenoisingAutoencoder",
    "DisentangledAutoencoder",
    "MaskedAutoencoder",
    "NeighborAutoencoder",
    "RecurrentAutoencoder",
    "SparseAutoencoder",
    "StackedGridSearchCV",
    "StackedRandomizedSearchCV",
    "TransformerAutoencoder",
    "VariationalAutoencoder",
    "VectorQuantizedAutoencoder",
    "VisionTransformerAutoencoder",
    "Vocabulary",
    "WindowedDetector",
    "all_estimators",
    "citation",
    "events",
    "explain",
    "fit_many",
    "load",
    "p_values",
    "save",
    "select",
    "show_versions",
    "to_onnx",
    "to_saelens",
    "write_report",
]

add_links(globals())


def all_estimators() -> list[type[BaseAutoencoder]]:
    """List the autoencoder classes.

    Returns
    -------
    classes : list of type
        In alphabetical order.

    Examples
    --------
    >>> from sktae import all_estimators
    >>> [E.__name__ for E in all_estimators()][0]
    'AttentionAutoencoder'
    """
    public = [globals()[name] for name in sorted(__all__)]
    return [
        value
        for value in public
        if isinstance(value, type)
        and issubclass(value, BaseAutoencoder)
        and value is not BaseAutoencoder
    ]
