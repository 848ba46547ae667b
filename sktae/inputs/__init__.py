"""How arrays become tensors, and tensors arrays: one class for each kind of rows."""
