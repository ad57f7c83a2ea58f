"""Switches for whoever looks for a bug in the compiler, from the environment."""

from __future__ import annotations

import os

FUSION = os.environ.get("GRAPHC_FUSION", "1") != "0"
"""GRAPHC_FUSION=0: each node is stored, in loops of its own."""

SMALL_TILES = os.environ.get("GRAPHC_SMALL_TILES", "0") != "0"
"""GRAPHC_SMALL_TILES=1: whatever can be cut into tiles is, two rows each, and runs on all threads."""

DEBUG = os.environ.get("GRAPHC_DEBUG") or "0"
"""GRAPHC_DEBUG=1: a line on stderr for each step that is compiled; 2: its report; 3: its stages; 4: its code."""

DUMP = os.environ.get("GRAPHC_DUMP", "")
"""GRAPHC_DUMP=folder: each stage of each step that is compiled becomes a file there."""
