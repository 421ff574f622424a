"""Sequences of different lengths: padded, packed, and back, with the names and results of ``torch.nn.utils.rnn``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

import genesis.functions as fn
import genesis.nn.functional as F
from compiler.errors import ArgumentError, ChoiceError, MisuseError, OpError, TraceError
from compiler.ir.location import user_location
from compiler.ir.types import boolean, i64
from genesis.context import current_recording
from genesis.functions.conversion import to
from genesis.functions.indexing import getitem
from genesis.misuse import explained
from genesis.scope import DATA_SHAPE, eager_only
from genesis.tensor import Tensor, from_array, tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence:
    """Sequences of different lengths without the padding, all elements of a time beside each other.

    Unpacks as ``data, batch_sizes, sorted_indices, unsorted_indices``. The recurrent layers compute it padded, under a
    mask, so that one compiled program serves all lengths. In a compiled step whose lengths are a tensor the four parts
    do not exist, because their shapes depend on the lengths; :func:`pad_packed_sequence` works.
    """

    def __init__(
        self,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> None:
        if batch_sizes is None:
            if not isinstance(data, list | tuple):
                raise ArgumentError("PackedSequence takes data and batch_sizes")
            data, batch_sizes = data
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = invert_permutation(sorted_indices)
        sizes = batch_sizes.numpy()
        lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
        self._order = None
        if unsorted_indices is not None:
            lengths = lengths[unsorted_indices.numpy()]
            self._order = np.argsort(unsorted_indices.numpy())
        self._lengths: np.ndarray | Tensor = lengths
        self._packed: Tensor | None = data
        self._filled: Tensor | None = None

    @classmethod
    def _of(cls, padded: Tensor, lengths: np.ndarray | Tensor, order: np.ndarray | None) -> PackedSequence:
        """Sequences ``padded`` as ``[T, N, *]``; ``order``: the batch from the longest to the shortest, None as is."""
        made = cls.__new__(cls)
        made._lengths, made._order, made._packed, made._filled = lengths, order, None, padded
        return made

    def _with(self, padded: Tensor) -> PackedSequence:
        """Other contents for the same lengths."""
        return self._of(padded, self._lengths, self._order)

    def _known(self, part: str) -> np.ndarray:
        """The lengths, which a compiled step may not know."""
        if isinstance(self._lengths, Tensor):
            raise TraceError(
                f"PackedSequence.{part} has a shape that depends on the lengths, which a step that is being compiled "
                f"does not know\n  at {user_location()}\n"
                "  use pad_packed_sequence(packed, total_length=...), or give the lengths as a list, which compiles "
                "the step for these lengths"
            )
        return self._lengths

    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Time and place in the batch of each row of ``data``."""
        lengths = self._known("data")
        order = np.arange(len(lengths)) if self._order is None else self._order
        times, places = np.nonzero(np.arange(lengths.max())[:, None] < lengths[order])
        return times, order[places]

    @property
    def _padded(self) -> Tensor:
        """The sequences as ``[T, N, *]``, zero behind their ends."""
        if self._filled is None:
            assert self._packed is not None
            lengths = self._known("data")
            index = np.zeros((int(lengths.max()), len(lengths)), np.int64)
            index[self._rows()] = np.arange(len(self._packed))
            self._filled = _cut(getitem(self._packed, from_array(index)), self._mask)
        return self._filled

    @property
    def _mask(self) -> Tensor:
        """``[T, N]``, true where a sequence has an element."""
        if isinstance(self._lengths, Tensor):
            assert self._filled is not None
            return _mask(self._lengths, self._filled.shape[0])
        return from_array(np.arange(self._lengths.max())[:, None] < self._lengths)

    @property
    def data(self) -> Tensor:
        """The elements, ``[sum of the lengths, *]``."""
        if self._packed is None:
            times, places = self._rows()
            self._packed = getitem(self._padded, (from_array(times), from_array(places)))
        return self._packed

    @property
    def batch_sizes(self) -> Tensor:
        """How many sequences have an element at each time, int64."""
        lengths = self._known("batch_sizes")
        return from_array((np.arange(lengths.max())[:, None] < lengths).sum(1))

    @property
    def sorted_indices(self) -> Tensor | None:
        """The places in the batch from the longest sequence to the shortest; None where they were in this order."""
        self._known("sorted_indices")
        return None if self._order is None else from_array(self._order)

    @property
    def unsorted_indices(self) -> Tensor | None:
        """The inverse of ``sorted_indices``."""
        return invert_permutation(self.sorted_indices)

    def __iter__(self) -> Iterator[Tensor | None]:
        return iter((self.data, self.batch_sizes, self.sorted_indices, self.unsorted_indices))

    def __getitem__(self, index: int) -> Tensor | None:
        return tuple(self)[index]

    def __len__(self) -> int:
        return 4

    def __repr__(self) -> str:
        names = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
        return f"PackedSequence({', '.join(f'{name}={part}' for name, part in zip(names, self))})"

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same sequences in another dtype or on another device."""
        return self._with(to(self._padded, *args, **kwargs))

    def float(self) -> PackedSequence:
        """The same sequences in float32."""
        return self._with(self._padded.float())

    def double(self) -> PackedSequence:
        """The same sequences in float64."""
        return self._with(self._padded.double())

    def cpu(self) -> PackedSequence:
        """The same sequences on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether the elements are on a CUDA device."""
        return bool(self._padded.is_cuda)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes ``permutation``."""
    return None if permutation is None else from_array(np.argsort(permutation.numpy()))


@explained
def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack ``input [T, N, *]`` (``[N, T, *]`` with ``batch_first``), whose sequences have ``lengths``.

    ``enforce_sorted``: the lengths fall; RuntimeError where they do not. In a compiled step lengths in a tensor may
    differ from call to call; then ``enforce_sorted=False`` is needed, and lengths outside 1..T raise IndexError.
    """
    padded = fn.transpose(input, 0, 1) if batch_first else input
    steps, batch = padded.shape[:2]
    count = lengths.shape[0] if isinstance(lengths, Tensor) else len(lengths)
    if count != batch:
        raise OpError(f"Expected `len(lengths)` to be equal to batch_size, but got {count} (batch_size={batch})")
    if isinstance(lengths, Tensor) and current_recording() is not None:
        if enforce_sorted:
            raise TraceError(
                "pack_padded_sequence cannot see whether lengths fall while a step is being compiled\n"
                f"  at {user_location()}\n  pass enforce_sorted=False"
            )
        held = to(lengths, dtype=i64)
        return PackedSequence._of(_cut(padded, _mask(held, steps)), held, None)
    known = np.asarray(tensor(lengths).numpy() if isinstance(lengths, Tensor) else lengths).astype(np.int64)
    if (known <= 0).any():
        raise OpError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if known.max() > steps:
        raise OpError(f"a sequence of {known.max()} elements does not fit in the {steps} of the padded input")
    if enforce_sorted and (np.diff(known) > 0).any():
        raise MisuseError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you "
            "do not need ONNX exportability."
        )
    order = None if enforce_sorted else np.argsort(-known, kind="stable")
    longest = int(known.max())
    padded = padded if longest == steps else fn.narrow(padded, 0, 0, longest)
    return PackedSequence._of(_cut(padded, from_array(np.arange(longest)[:, None] < known)), known, order)


@explained
def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The sequences as ``[T, N, *]`` (``[N, T, *]`` with ``batch_first``), and their lengths, int64.

    ``T`` is the greatest length, or ``total_length``. Raises ValueError for a ``total_length`` that is too small.
    """
    padded = sequence._padded
    lengths = sequence._lengths
    if total_length is None:
        sequence._known("T, the greatest length,")
    elif total_length < padded.shape[0]:
        raise ChoiceError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {padded.shape[0]}"
        )
    if padding_value:
        padded = _cut(padded, sequence._mask, padding_value)
    if total_length is not None and total_length > padded.shape[0]:
        more = fn.full((total_length - padded.shape[0], *padded.shape[1:]), padding_value, dtype=padded.dtype)
        padded = fn.cat([padded, more])
    counts = lengths if isinstance(lengths, Tensor) else from_array(lengths)
    return (fn.transpose(padded, 0, 1) if batch_first else padded), counts


@explained
def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences ``[L, *]`` of different lengths as ``[T, N, *]`` (``[N, T, *]`` with ``batch_first``).

    ``T`` is the greatest length. ``padding_side``: the end that is filled, ``"right"`` or ``"left"``.
    """
    if padding_side not in ("left", "right"):
        raise OpError(f"padding_side should be one of 'left' or 'right', but got {padding_side}")
    rows = _listed("pad_sequence", sequences)
    longest = max(row.shape[0] for row in rows)

    def filled(row: Tensor) -> Tensor:
        rest = longest - row.shape[0]
        ends = (rest, 0) if padding_side == "left" else (0, rest)
        return F.pad(row, (*[0, 0] * (row.ndim - 1), *ends), value=padding_value) if rest else row

    return fn.stack([filled(row) for row in rows], 0 if batch_first else 1)


@eager_only(DATA_SHAPE)
@explained
def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each without its padding."""
    rows = padded_sequences if batch_first else fn.transpose(padded_sequences, 0, 1)
    return [fn.narrow(row, 0, 0, int(n)) for row, n in zip(fn.unbind(rows), lengths.tolist(), strict=True)]


@explained
def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences ``[L, *]``; with ``enforce_sorted`` their lengths must fall."""
    lengths = [sequence.shape[0] for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


@eager_only(DATA_SHAPE)
@explained
def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences that were packed."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))


def _listed(function: str, sequences: Any) -> list[Tensor]:
    if isinstance(sequences, Tensor):
        return list(fn.unbind(sequences))
    if not hasattr(sequences, "__iter__"):
        raise OpError(f"{function}: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    return list(sequences)


def _mask(lengths: Tensor, steps: int) -> Tensor:
    """``[T, N]``, true before the end of each sequence. Looking up raises IndexError for lengths outside 1..T."""
    return fn.transpose(fn.index_select(fn.tril(fn.ones(steps, steps, dtype=boolean)), 0, fn.sub(lengths, 1)), 0, 1)


def _cut(padded: Tensor, mask: Tensor, value: float = 0.0) -> Tensor:
    """``padded`` with ``value`` behind the ends, even where it is not a number."""
    return fn.where(fn.reshape(mask, *mask.shape, *[1] * (padded.ndim - 2)), padded, value)
