"""What the commands of the command line do; its options are in `sktae_cli`."""
