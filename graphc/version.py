"""The version of graphc: the package says it, and the files that it writes."""

__version__ = "0.1.0"
