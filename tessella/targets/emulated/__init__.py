"""The emulated device: the host's kernels, in memory of its own."""
