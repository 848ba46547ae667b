"""What kinds of autoencoders share: densities, images, sequences, losses, sampling."""
