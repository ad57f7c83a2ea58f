"""From a planned program to one native call. Of its files only jit.py knows Numba."""
