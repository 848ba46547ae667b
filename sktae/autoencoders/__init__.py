"""The gallery: one paper, one file."""
