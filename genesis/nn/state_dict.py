"""Loading a state dict into a tree of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from compiler.errors import OpError
from genesis.context import grad_mode
from genesis.functions.conversion import copy_
from genesis.tensor import Parameter, Tensor, tensor

EXTRA_STATE = "_extra_state"
"""The end of the key of what :meth:`Module.get_extra_state` returns."""


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


def load_members(
    members: Iterable[tuple[str, Tensor]],
    values: Mapping[str, Any],
    prefix: str,
    put: Callable[[str, Tensor], None] | None,
    missing: list[str],
    errors: list[str],
) -> None:
    """Copy ``values`` into the members of one module, whose keys begin with ``prefix``; or ``put`` them in their place.

    What is not there is added to ``missing``, another shape to ``errors``.
    """
    for name, member in members:
        key = prefix + name
        if key not in values:
            missing.append(key)
            continue
        given = tensor(values[key])
        if given.shape != member.shape:
            errors.append(
                f"size mismatch for {key}: copying a param with shape {given.shape} from checkpoint, "
                f"the shape in current model is {member.shape}."
            )
        elif put is None:
            with grad_mode(False):
                copy_(member, given)
        else:
            put(name, Parameter(given, member.requires_grad) if isinstance(member, Parameter) else given)


def raise_errors(owner: str, strict: bool, missing: list[str], unexpected: list[str], errors: list[str]) -> None:
    """RuntimeError for what did not fit: shapes and, if ``strict``, names."""
    found = list(errors)
    if strict and unexpected:
        found.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
    if strict and missing:
        found.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
    if found:
        listed = "\n\t".join(found)
        raise OpError(f"Error(s) in loading state_dict for {owner}:\n\t{listed}")


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{k}"' for k in keys)
