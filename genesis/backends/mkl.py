"""``genesis.backends.mkl``: Intel's MKL is not used."""


def is_available() -> bool:
    """False: Genesis does not use Intel's MKL."""
    return False
