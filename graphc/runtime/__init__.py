"""What runs beneath emitted code: native calls, threads, and the BLAS; no Numba."""
