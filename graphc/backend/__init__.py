"""From a planned program to one native call. jit.py and blas.py are the only files that know Numba."""
