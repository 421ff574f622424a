"""``genesis.backends.mkldnn``: oneDNN is not used."""


def is_available() -> bool:
    """False: Genesis does not use oneDNN."""
    return False
