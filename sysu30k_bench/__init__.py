"""Exact, resumable evaluation of person re-identification models on SYSU-30k."""

from sysu30k_bench._version import __version__

__all__ = ["__version__"]
