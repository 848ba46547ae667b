"""Tensors: layers, codes and the equations of the papers. Knows nothing of estimators."""
