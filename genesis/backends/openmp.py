"""``genesis.backends.openmp``: OpenMP is not used."""

from typing import TYPE_CHECKING

from genesis.names import module_getattr


def is_available() -> bool:
    """False: Genesis does not use OpenMP."""
    return False


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.backends.openmp", globals())
