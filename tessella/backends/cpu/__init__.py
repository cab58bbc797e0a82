"""The CPU: machine code, threads, memory and the cache of compiled kernels."""
