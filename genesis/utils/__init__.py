"""Helpers around training: data loading."""

from genesis.utils import data

__all__ = ["data"]
