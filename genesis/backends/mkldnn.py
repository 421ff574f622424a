"""``genesis.backends.mkldnn``: oneDNN is not used."""

from typing import TYPE_CHECKING

from genesis.names import module_getattr


def is_available() -> bool:
    """False: Genesis does not use oneDNN."""
    return False


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.backends.mkldnn", globals())
