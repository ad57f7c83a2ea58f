"""Switches for whoever looks for a bug in the compiler, from the environment."""

from __future__ import annotations

import os

FUSION = os.environ.get("GRAPHC_FUSION", "1") != "0"
"""GRAPHC_FUSION=0: each node is stored, in loops of its own."""
