"""What kinds of autoencoders have in common: densities, images, sequences, losses, sampling."""
