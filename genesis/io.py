"""Checkpoints of programs: state dicts, counters and configuration in one file, without pickle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from compiler.errors import CheckpointError
from genesis.tensor import Tensor, from_array
from runtime import checkpoint


def save_checkpoint(obj: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a dict of Tensors, arrays, numbers, strings, lists, tuples and dicts to the file ``path``, atomically.

    Beside the tensors in ``obj``, one of them at a time is held as a copy.

    Raises:
        UnsavableError: (a TypeError) before anything is written, for a value of another kind; the message says where in
            ``obj`` it is.
        CheckpointError: a pipe, a device or a folder has this name.
        OSError: the file cannot be written; a file that was there before is untouched.
    """
    checkpoint.save_checkpoint(obj, path, _encode)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is truncated, altered since it was written, malformed, or no checkpoint.
    """
    return checkpoint.load_checkpoint(path, _decode)


def _encode(leaf: object) -> tuple[str, np.ndarray] | None:
    return ("tensor", np.asarray(leaf)) if isinstance(leaf, Tensor) else None


def _decode(tag: str, array: np.ndarray) -> Tensor:
    if tag != "tensor":
        raise CheckpointError(f"it holds a {tag!r}, which this reader does not know")
    try:
        return from_array(array)
    except TypeError as error:
        raise CheckpointError(f"it holds a tensor that there cannot be: {error}") from None
