"""``genesis.backends.mps``: eager tensors are on the CPU."""

from typing import TYPE_CHECKING

from genesis.names import module_getattr


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def is_built() -> bool:
    """False: there is no code for Apple's GPUs."""
    return False


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.backends.mps", globals())
