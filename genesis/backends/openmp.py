"""``genesis.backends.openmp``: OpenMP is not used."""


def is_available() -> bool:
    """False: Genesis does not use OpenMP."""
    return False
