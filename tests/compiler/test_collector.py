"""The garbage collector is off only meanwhile, and stays off where it was."""

import gc

import pytest

from compiler.collector import without_collector


def test_it_is_off_meanwhile() -> None:
    with pytest.raises(KeyError), without_collector():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_it_stays_off() -> None:
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
