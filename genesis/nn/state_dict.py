"""Loading a state dict into a tree of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from compiler.errors import OpError
from genesis.context import grad_mode
from genesis.functions.conversion import copy_
from genesis.tensor import Parameter, Tensor, tensor


class IncompatibleKeys(tuple[list[str], list[str]]):
    """What :meth:`Module.load_state_dict` returns: ``(missing_keys, unexpected_keys)``, also by name."""

    missing_keys = property(lambda self: self[0])
    unexpected_keys = property(lambda self: self[1])

    def __new__(cls, missing_keys: list[str], unexpected_keys: list[str]) -> IncompatibleKeys:
        return super().__new__(cls, (missing_keys, unexpected_keys))

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self[0]}, unexpected_keys={self[1]})"


class Loading:
    """The values of a state dict on their way into modules. ``assign``: they replace the tensors that are there."""

    def __init__(self, values: Mapping[str, Any], assign: bool) -> None:
        self._values = values
        self._assign = assign
        self._known: set[str] = set()
        self._missing: list[str] = []
        self._errors: list[str] = []

    def load(self, prefix: str, members: Iterable[tuple[str, Tensor]], put: Callable[[str, Tensor], None]) -> None:
        """Load the members of one module, whose names in the state dict begin with ``prefix``."""
        for name, member in members:
            key = prefix + name
            self._known.add(key)
            if key not in self._values:
                self._missing.append(key)
                continue
            given = tensor(self._values[key])
            if given.shape != member.shape:
                self._errors.append(
                    f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
                    f"the shape in current model is {member.shape}."
                )
            elif not self._assign:
                with grad_mode(False):
                    copy_(member, given)
            else:
                put(name, Parameter(given, member.requires_grad) if isinstance(member, Parameter) else given)

    def finish(self, owner: str, strict: bool) -> IncompatibleKeys:
        """What did not fit; RuntimeError for shapes and, if ``strict``, for names."""
        unexpected = [key for key in self._values if key not in self._known]
        errors = list(self._errors)
        if strict and unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if strict and self._missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(self._missing)}. ")
        if errors:
            listed = "\n\t".join(errors)
            raise OpError(f"Error(s) in loading state_dict for {owner}:\n\t{listed}")
        return IncompatibleKeys(self._missing, unexpected)


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{k}"' for k in keys)
