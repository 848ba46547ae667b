"""`to_saelens`: a fitted sparse autoencoder as the files that SAELens reads."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sktae._files.container import named, replacing
from sktae.autoencoders.sparse import SparseAutoencoder

# The layout of the description is that of this version of SAELens.
_VERSION = "6.0.0"

# What SAELens calls the activation after each penalty. The threshold of "batch_topk" is fixed after
# the fit, as there.
_ARCHITECTURES = {
    "l1": "standard",
    "l2": "standard",
    "topk": "topk",
    "batch_topk": "jumprelu",
    "jump_relu": "jumprelu",
}


def to_saelens(estimator: Any, folder: str | PathLike) -> None:
    """Export a fitted `SparseAutoencoder` to the files that SAELens and tools beside it read.

    The folder gets two files. "cfg.json" describes the model. "sae_weights.safetensors" has the
    arrays "W_enc" (d_in, d_sae), "b_enc", "W_dec" (d_sae, d_in), "b_dec", and for the penalties
    "batch_topk" and "jump_relu" also "threshold", in float32. The scales of the columns are part of
    them, so the exported model takes raw activations, gives the codes of `transform`, and
    reconstructs what `reconstruct` does.

    A model is refused if it has hidden layers, `penalty="kl"` or `loss="cross_entropy"`, or was
    fitted on categories or on rows with missing values.

    Parameters
    ----------
    estimator : SparseAutoencoder
        A fitted estimator. With `penalty="topk"`, SAELens keeps positive activations only. So a
        model that keeps negative ones in training rows is refused; in new rows, they become 0.

    folder : str or path-like
        Where the files are written. It is made if it is not there, but not the folder around it.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from sktae import SparseAutoencoder, to_saelens
    >>> X, _ = load_digits(return_X_y=True)
    >>> model = SparseAutoencoder(128, n_active=4, max_steps=100, random_state=0).fit(X)
    >>> to_saelens(model, tempfile.mkdtemp())
    """
    if not isinstance(estimator, SparseAutoencoder):
        raise TypeError(
            f"{type(estimator).__name__} has no export to SAELens, but SparseAutoencoder has."
        )
    check_is_fitted(estimator)
    obstacle = _obstacle(estimator)
    if obstacle:
        raise ValueError(f"{type(estimator).__name__} has no export to SAELens with {obstacle}.")
    arrays = _arrays(estimator)
    folder = Path(named(folder))
    folder.mkdir(exist_ok=True)
    with replacing(folder / "sae_weights.safetensors") as temporary:
        save_file(arrays, temporary)
    with replacing(folder / "cfg.json") as temporary:
        Path(temporary).write_text(json.dumps(_description(estimator), indent=2))


def _obstacle(estimator: Any) -> str | None:
    """Return what the layout does not have, and what to do, or None."""
    network, inputs = estimator.net_.module_, estimator._fitted.inputs
    if inputs.blocks:
        return "categories: encode them as numbers"
    if inputs.incomplete:
        return "missing values: fill them in before the fit"
    if network.penalty not in _ARCHITECTURES:
        return f"penalty={network.penalty!r}: choose one of {sorted(_ARCHITECTURES)}"
    if len(network.encoder) > 1:
        return "hidden layers: set hidden_layer_sizes=()"
    if not isinstance(network.output_activation, nn.Identity):
        return "loss='cross_entropy': set loss='squared'"
    if network.penalty == "topk":
        memory = estimator._fitted.memory.x
        code = network.sparsify(network.encoder(memory))
        share = float((code < 0).any(1).float().mean())
        if share > 0:
            return (
                f"penalty='topk' and negative activations, which {share:.2%} of the training rows "
                f"have: lower n_active={network.n_active}, or set penalty='batch_topk'"
            )
    return None


def _arrays(estimator: Any) -> dict[str, np.ndarray]:
    """Return the weights, with the scales of the columns folded into them."""
    network, inputs = estimator.net_.module_, estimator._fitted.inputs
    encoder, decoder = (
        [p.detach().cpu().double().numpy() for p in (layer.weight, layer.bias)]
        for layer in (network.encoder[0], network.decoder[0])
    )
    weights = encoder[0] / inputs.scale
    arrays = {
        "W_enc": weights.T,
        "b_enc": encoder[1] - weights @ inputs.shift,
        "W_dec": decoder[0].T * inputs.scale,
        "b_dec": decoder[1] * inputs.scale + inputs.shift,
    }
    if network.penalty == "jump_relu":
        arrays["threshold"] = network.log_threshold.detach().cpu().exp().numpy()
    if network.penalty == "batch_topk":
        arrays["threshold"] = np.full(len(weights), float(network.threshold))
    return {name: np.ascontiguousarray(a, dtype=np.float32) for name, a in arrays.items()}


def _description(estimator: Any) -> dict[str, Any]:
    network = estimator.net_.module_
    description = {
        "architecture": _ARCHITECTURES[network.penalty],
        "d_in": network.encoder[0].in_features,
        "d_sae": network.encoder[0].out_features,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": False,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": _VERSION},
    }
    return description | ({"k": network.n_active} if network.penalty == "topk" else {})
