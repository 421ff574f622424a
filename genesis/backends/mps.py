"""``genesis.backends.mps``: eager tensors are on the CPU."""


def is_available() -> bool:
    """False: eager tensors are on the CPU."""
    return False


def is_built() -> bool:
    """False: there is no code for Apple's GPUs."""
    return False
