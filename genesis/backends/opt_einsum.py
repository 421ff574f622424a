"""``genesis.backends.opt_einsum``: not used. Its switches can be set, and change nothing."""

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """False: Genesis does not use opt_einsum."""
    return False
