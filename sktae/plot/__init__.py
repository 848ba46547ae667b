"""Displays of reconstructed images and of codes, drawn with matplotlib."""

from sktae.plot._latent import LatentDisplay
from sktae.plot._reconstruction import ReconstructionDisplay

__all__ = ["LatentDisplay", "ReconstructionDisplay"]
