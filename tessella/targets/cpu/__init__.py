"""The CPU: machine code, threads, memory, the cache of compiled kernels, and how products are cut for it."""
