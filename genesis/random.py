"""The random generator: a seed, and an offset that every random op moves on by one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from compiler.errors import ArgumentError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import here, user_location
from compiler.ir.op import o
from compiler.ir.types import TensorType, i64, u8
from compiler.ops.random import philox
from genesis.context import current_recording, grad_mode
from genesis.memory.cells import Cell
from genesis.memory.values import TensorValue, concrete
from genesis.scope import AROUND
from genesis.tensor import Tensor, from_array

__eager_only__ = AROUND

_SCALAR = TensorType(i64, ())
_STATE = 16
"""Bytes of the state of a generator."""


def _number(value: int) -> TensorValue:
    return concrete(np.array(value, np.int64), _SCALAR)


def _only_outside(what: str) -> None:
    if current_recording() is not None:
        raise TraceError(
            f"Generator.{what}() inside a step that is being compiled\n  at {user_location()}\n"
            "  a compiled step goes on from the generator's state at every call; set it outside"
        )


class Generator:
    """Counter-based randomness: what an op draws depends on the seed and on its place in program order only."""

    def __init__(self, seed: int = 0) -> None:
        self.seed_cell, self.offset_cell = Cell(_number(seed)), Cell(_number(0))
        self.seed_cell.label, self.offset_cell.label = "rng.seed", "rng.offset"

    def manual_seed(self, seed: int) -> Generator:
        """Start over from ``seed`` (any int; taken modulo 2**64)."""
        _only_outside("manual_seed")
        self.seed_cell.write(_number(int(np.uint64(seed & (2**64 - 1)).view(np.int64))))
        self.offset_cell.write(_number(0))
        return self

    def initial_seed(self) -> int:
        return int(self.seed_cell.value.data)

    def position(self) -> tuple[int, int]:
        """(seed, offset): the key of the draws, and how many there were."""
        return int(self.seed_cell.fetched().data), int(self.offset_cell.fetched().data)

    def get_state(self) -> Tensor:
        """The seed and the offset as bytes, uint8[16]."""
        return from_array(np.array(self.position(), "<i8").view(np.uint8))

    def set_state(self, new_state: Tensor) -> Generator:
        """Go on from a state of :meth:`get_state`; raises ArgumentError for anything else."""
        if not isinstance(new_state, Tensor) or new_state.dtype is not u8 or new_state.shape != (_STATE,):
            given = new_state._type if isinstance(new_state, Tensor) else type(new_state).__name__
            raise ArgumentError(here(f"expected the state of a generator, a tensor u8[{_STATE}], but got {given}"))
        seed, offset = np.array(new_state.tolist(), np.uint8).view("<i8").tolist()
        self._move(seed, offset)
        return self

    def _move(self, seed: int, offset: int) -> None:
        _only_outside("set_state")
        self.seed_cell.write(_number(seed))
        self.offset_cell.write(_number(offset))

    def reserve(self, draws: int = 1) -> tuple[Value, Value, int]:
        """(seed, offset, index) for an op that takes ``draws`` draws; they are never given out again."""
        recording = current_recording()
        seed, offset = self.seed_cell.read(), self.offset_cell.read()
        for value in (seed, offset):
            if value.place is not None:  # in the body of a loop nothing is written
                value.place.shared = True  # the op keeps the numbers; that the generator moves on is no change
        if recording is None:
            self.offset_cell.write(_number(int(offset.data) + draws))
            return seed, offset, 0
        start = recording.state[self.offset_cell]
        index = recording.drawn.get(self, 0)
        recording.drawn[self] = index + draws
        recording.drew_at[self] = recording.builder.location()
        return seed, start, index

    def permutation(self, n: int) -> np.ndarray:
        """A random permutation of ``range(n)``, int64."""
        seed, offset = self.position()
        self._move(seed, offset + 1)
        return np.argsort(philox(seed, offset, n), kind="stable").astype(np.int64)

    def random(self, count: int) -> np.ndarray:
        """``count`` numbers in [0, 1), f64 with 53 random bits."""
        seed, offset = self.position()
        self._move(seed, offset + 1)
        high, low = philox(seed, offset, 2 * count).reshape(2, count)
        return (high.astype(np.float64) * 2**21 + (low >> np.uint32(11))) * 2.0**-53


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator: parameter initialisation, dropout, shuffling."""
    return default_generator.manual_seed(seed)


def get_rng_state() -> Tensor:
    """The state of the default generator, uint8[16]."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Bring the default generator back to a state from :func:`get_rng_state`; ArgumentError for another tensor."""
    default_generator.set_state(new_state)


def advance_by(generator: Generator, draws: int) -> Value:
    """Reserve ``draws`` draws, i64[]: the first offset among them."""
    _, start, index = generator.reserve(draws)
    return o.add(start, index)


def advance_recorded(recording: Any, times: int = 1) -> None:
    """At the end of a recording: every generator's offset moves on by what the step drew, ``times`` over.

    That stands at the line of the last draw.
    """
    before = recording.builder.place
    with grad_mode(False):
        for generator, draws in recording.drawn.items():
            recording.builder.place = recording.drew_at[generator]
            start = recording.state[generator.offset_cell]
            generator.offset_cell.write(o.add(start, times * draws))
    recording.builder.place = before


def seed() -> int:
    """Seed the default generator with a number that no program can foresee, and return it."""
    number = secrets.randbits(63)
    manual_seed(number)
    return number


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **_: Any) -> Iterator[None]:
    """A context after which the default generator is what it was before; not with ``enabled=False``."""
    before = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(before)
