"""Arrays become tensors here, and tensors arrays."""
