"""``genesis.hub``: nothing is downloaded, and no code of others is executed."""

from __future__ import annotations

from typing import Any, NoReturn

from compiler.errors import UnsupportedError
from compiler.ir.location import here
from genesis.scope import AROUND

__eager_only__ = AROUND


def _refuse(name: str, instead: str) -> NoReturn:
    raise UnsupportedError(here(f"hub.{name}(): Genesis downloads nothing", instead))


def load(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise UnsupportedError: models of others are code, which is not executed."""
    _refuse("load", "install the package that has the model; model.load_state_dict(genesis.load(path)) takes weights")


def load_state_dict_from_url(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise UnsupportedError: nothing is downloaded."""
    _refuse("load_state_dict_from_url", "download the file, then genesis.load(path)")


def download_url_to_file(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise UnsupportedError: nothing is downloaded."""
    _refuse("download_url_to_file", "urllib.request.urlretrieve(url, path)")


def list(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise UnsupportedError: nothing is downloaded."""
    _refuse("list", "look at the repository")


def help(*args: Any, **kwargs: Any) -> NoReturn:
    """Raise UnsupportedError: nothing is downloaded."""
    _refuse("help", "look at the repository")
