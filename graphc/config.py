"""Switches for whoever looks for a bug in the compiler, from the environment."""

from __future__ import annotations

import os

FUSION = os.environ.get("GRAPHC_FUSION", "1") != "0"
"""GRAPHC_FUSION=0: each node is stored, in loops of its own."""

SMALL_TILES = os.environ.get("GRAPHC_SMALL_TILES", "0") != "0"
"""GRAPHC_SMALL_TILES=1: whatever can be cut into tiles is, two rows each, and runs on all threads."""
