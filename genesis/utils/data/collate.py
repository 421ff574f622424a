"""Batches from samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, MisuseError
from genesis.tensor import Tensor, from_array
from genesis.utils.data.dataset import Subset, TensorDataset


def default_collate(batch: Sequence[Any]) -> Any:
    """One batch from a list of samples of one structure.

    Tensors, arrays and numbers become a Tensor with a new first dimension (Python floats in float64, integers in
    int64); dicts and named tuples are kept, with batches in the place of samples; tuples and lists become lists;
    strings stay a list.
    """
    first = batch[0]
    match first:
        case Tensor() | np.ndarray():
            return from_array(_stack([np.asarray(sample) for sample in batch]))
        case str() | bytes():
            return list(batch)
        case bool() | int() | float() | np.generic():
            return from_array(np.asarray(batch))
        case Mapping():
            return {key: default_collate([sample[key] for sample in batch]) for key in first}
        case Sequence():
            if any(len(sample) != len(first) for sample in batch):
                raise MisuseError("each element in list of batch should be of equal size")
            columns = [default_collate(column) for column in zip(*batch)]
            return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise ArgumentError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
        f"{type(first).__name__}; give the DataLoader a collate_fn"
    )


def default_convert(sample: Any) -> Any:
    """A sample as it is, with Tensors in the place of arrays."""
    match sample:
        case np.ndarray() | np.generic():
            return from_array(np.asarray(sample))
        case str() | bytes():
            return sample
        case Mapping():
            return {key: default_convert(value) for key, value in sample.items()}
        case Sequence():
            values = [default_convert(value) for value in sample]
            return type(sample)(*values) if hasattr(sample, "_fields") else values
    return sample


def _stack(samples: Sequence[np.ndarray]) -> np.ndarray:
    shapes = {sample.shape for sample in samples}
    if len(shapes) > 1:
        raise MisuseError(f"default_collate: samples of one batch need one shape, and have {sorted(shapes)}")
    return np.stack(samples)


def gather(dataset: object, indices: Sequence[int]) -> list[Tensor] | None:
    """The result of ``default_collate`` for these samples, if one indexing gives it; else None."""
    if type(dataset) is Subset:
        return gather(dataset.dataset, [dataset.indices[i] for i in indices])
    if type(dataset) is TensorDataset:
        rows = np.asarray(indices, dtype=np.int64)
        return [from_array(np.asarray(t)[rows]) for t in dataset.tensors]
    return None
