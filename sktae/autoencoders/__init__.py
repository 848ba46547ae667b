"""The autoencoders, one paper a file."""
