"""``genesis.backends.opt_einsum``: not used. Its switches can be set, and change nothing."""

from typing import TYPE_CHECKING

from genesis.names import module_getattr

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """False: Genesis does not use opt_einsum."""
    return False


if not TYPE_CHECKING:
    __getattr__ = module_getattr("genesis.backends.opt_einsum", globals())
