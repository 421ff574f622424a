"""``import torch`` gives genesis: an import hook that answers for ``torch`` and its submodules."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from compiler.errors import MissingImportError
from genesis.absent import out_of_scope
from genesis.names import missing_in_module, names_in, path_of
from genesis.torch_version import TorchVersion
from genesis.version import __version__

VERSION = "2.13.0"
"""The version of PyTorch whose names and meanings Genesis follows."""

_OTHER_MODULES = frozenset("_C _dynamo _inductor _prims monitor".split())
"""Modules of PyTorch that Genesis lacks, beside those out of scope; to import one is no error if nothing is used."""


def install() -> None:
    """From now on ``import torch`` gives genesis, in this process; an installed PyTorch is not found."""
    for name in [name for name in sys.modules if _is_torch(name)]:
        del sys.modules[name]
    sys.meta_path.insert(0, _Finder())
    for name, module in list(sys.modules.items()):
        if name.startswith("genesis.") and not hasattr(module, "__file__"):  # a path without a file
            sys.modules[f"torch.{name.partition('.')[2]}"] = module


def _is_torch(name: str) -> bool:
    return name == "torch" or name.startswith("torch.")


class Torch(ModuleType):
    """The module ``torch``: Genesis's names, with a version that programs can compare."""

    def __init__(self) -> None:
        super().__init__("genesis", "Genesis in the place of PyTorch.")
        home = sys.modules["genesis"]
        vars(self).update(
            _home=home,
            __path__=[],
            __file__=home.__file__,
            __version__=TorchVersion(f"{VERSION}+genesis.{__version__}"),
        )

    def __getattr__(self, name: str) -> Any:
        space = vars(self._home)
        if name in space:
            return space[name]
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing_in_module("torch", name, names_in(space), sys._getframe(1))

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__"):
            super().__setattr__(name, value)
        else:
            setattr(self._home, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._home)


class Absent(ModuleType):
    """A module of PyTorch that Genesis does not have: each of its names is an error, with the reason."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, "A part of PyTorch that Genesis does not have.")
        self._reason = reason
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise missing_in_module(self.__name__, name, (), sys._getframe(1), self._reason)


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _is_torch(fullname) or _module_for(fullname) is None:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        found = _module_for(name)
        assert found is not None
        sys.modules[name] = found


def _module_for(name: str) -> ModuleType | None:
    """The module that ``import <name>`` gives; None for a name that may be no module of PyTorch at all."""
    if name == "torch":
        return Torch()
    _, _, rest = name.partition(".")
    try:
        found = importlib.import_module(f"genesis.{rest}")
    except (ModuleNotFoundError, MissingImportError) as error:
        if error.name is None or not error.name.startswith("genesis."):
            raise
        reason = out_of_scope(path_of(error.name)) or ""
        if reason and error.name != f"genesis.{rest}":
            raise  # a name of a module that is out of scope: ``from torch.sparse import mm`` asks for a module, too
        return Absent(name, reason) if reason or rest in _OTHER_MODULES else None
    vars(found).setdefault("__path__", [])  # Python imports a part of a package only
    return found
