"""Runs a plan: binds memory to the entry point's arguments and calls it."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Sequence
from ctypes import addressof, c_double, sizeof
from time import perf_counter

import numpy as np

from compiler.errors import GenesisError
from compiler.ir.types import TensorType, dtype
from compiler.plan import Plan, Slot
from runtime.device import Device, Program, pointers
from runtime.devices.cpu import ALIGNMENT
from runtime.devices.pool import num_threads

SMALL = 1024
"""Bytes of a result up to which copying it out is quicker than telling the step where a fresh array is."""
SMALL_INPUT = 16384
"""Bytes of an input up to which copying it in is quicker than asking NumPy for its address."""


PERIOD = 4096
"""Runs after which a block that none of them half filled gets smaller."""


class Arenas(threading.local):
    """Memory for temporaries: one block for each thread, as large as the programs need that ran there lately."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._take(0)

    def _take(self, nbytes: int) -> None:
        self._block = self._device.alloc(0)  # lets the old one go first
        self._block = self._device.alloc(nbytes)
        self._size, self._address = nbytes, self._block.ctypes.data
        self._runs = self._most = 0

    def address(self, nbytes: int) -> int:
        """The address of ``nbytes`` of any contents, until the next call in this thread."""
        self._runs += 1
        if nbytes > self._most:
            self._most = nbytes
        if nbytes > self._size:
            self._take(nbytes)
        elif self._runs >= PERIOD:
            if 2 * self._most < self._size:
                self._take(self._most)
            self._runs = self._most = 0
        return self._address


class Executor:
    """One program with its own temporaries.

    ``bind`` takes the arrays of the states, in slot order; ``run`` takes the arrays of the inputs and the scalars and
    returns fresh arrays. States are updated in place; an input that shares memory with them is read as it was before.
    Raises IndexError when the step found an index out of range; the states are then as before the call. Only the first
    ``fresh`` results own their memory (all when None); the rest is overwritten by the next call. ``written``: which
    states the step changes (all when None).
    """

    def __init__(
        self, plan: Plan, device: Device, fresh: int | None = None, written: Collection[int] | None = None
    ) -> None:
        self._written = written
        self.plan = plan
        self.device = device
        self.program: Program = device.load(plan.source)
        self.threads = 0
        kinds = [s.kind for s in plan.slots]
        self._states = [i for i, k in enumerate(kinds) if k == "state"]
        self._scalars = [i for i, k in enumerate(kinds) if k == "scalar"]
        inputs = [(i, self._room(s)) for i, s in enumerate(plan.slots) if s.kind == "input"]
        self._copied = [(k, room) for k, (_, room) in enumerate(inputs) if room is not None]
        self._passed = [(k, i) for k, (i, room) in enumerate(inputs) if room is None]
        outputs = [(i, np.empty(s.shape, dtype(s.dtype).numpy)) for i, s in enumerate(plan.slots) if s.kind == "output"]
        self._results = [array for _, array in outputs]
        self._small = [k for k, (_, array) in enumerate(outputs[:fresh]) if array.nbytes <= SMALL]
        self._large = [(k, i) for k, (i, array) in enumerate(outputs[:fresh]) if array.nbytes > SMALL]
        self._args = pointers(len(plan.slots) + 3)  # the arena, scratch memory, and times where they are taken
        self._numbers = (c_double * len(self._scalars))()
        self._numbers_given: tuple[float, ...] | None = None
        for k, i in enumerate(self._scalars):
            self._args[i] = addressof(self._numbers) + k * sizeof(c_double)
        self._arena = self._scratch = device.alloc(plan.arena_bytes)
        self._arena_bytes = -(-plan.arena_bytes // ALIGNMENT) * ALIGNMENT
        self._args[len(plan.slots)] = self._arena.ctypes.data
        for i, array in outputs:
            self._args[i] = array.ctypes.data
        for i, room in inputs:
            if room is not None:
                self._args[i] = room.ctypes.data
        self._arenas: Arenas | None = None
        self._held: list[np.ndarray] = []
        self._spans: list[tuple[int, int]] = []
        self._below = self._above = 0
        self._copies: dict[int, np.ndarray] = {}
        self._given: list[np.ndarray | None] = [None] * len(inputs)

    def share(self, arenas: Arenas) -> None:
        """Have no temporaries and no scratch memory of its own from now on, but those of the thread that runs it."""
        self._arenas = arenas
        self._arena = self._scratch = self.device.alloc(0)

    def _room(self, slot: Slot) -> np.ndarray | None:
        """Memory for a small input; None for one that stays where it is."""
        kind = TensorType(dtype(slot.dtype), slot.shape)
        if kind.nbytes > SMALL_INPUT:
            return None
        return self.device.alloc(kind.nbytes).view(kind.dtype.numpy).reshape(kind.shape)

    def bind(self, states: Sequence[np.ndarray]) -> None:
        """Use ``states`` from now on; they are kept alive. Those that the step changes share no memory."""
        self._held = list(states)
        for i, array in zip(self._states, states, strict=True):
            self._args[i] = array.ctypes.data
        changed = [a for k, a in enumerate(states) if a.nbytes and (self._written is None or k in self._written)]
        self._spans = sorted((a.ctypes.data, a.ctypes.data + a.nbytes) for a in changed)
        self._below, self._above = (self._spans[0][0], self._spans[-1][1]) if self._spans else (0, 0)
        for k, i in self._passed:
            given = self._given[k]
            if given is not None:
                self._pass(k, i, given)

    def _pass(self, k: int, i: int, array: np.ndarray) -> None:
        """Let the step read input ``k`` where it lies, or in a copy where the step changes that memory."""
        self._given[k] = array = np.ascontiguousarray(array)
        self._copies.pop(k, None)
        address = array.__array_interface__["data"][0]
        if self._changed(address, address + array.nbytes):
            self._copies[k] = array.copy()
            address = self._copies[k].__array_interface__["data"][0]
        self._args[i] = address

    def _changed(self, start: int, end: int) -> bool:
        """Whether the step changes a state with bytes between the addresses."""
        if end <= self._below or start >= self._above:
            return False
        before_end = bisect_left(self._spans, (end, 0))  # changed states never overlap: the last one reaches furthest
        return before_end > 0 and self._spans[before_end - 1][1] > start

    def _use_threads(self, threads: int) -> None:
        self.threads = threads
        scratch = self.plan.scratch_bytes(threads)
        self._shared_bytes = self._arena_bytes + scratch
        if self._arenas is None:
            self._scratch = self.device.alloc(scratch)
            self._args[len(self.plan.slots) + 1] = self._scratch.ctypes.data

    def run(self, inputs: Sequence[np.ndarray], scalars: Sequence[float]) -> list[np.ndarray]:
        """One call of the step."""
        args = self._args
        threads = self.plan.threads or num_threads()
        if threads != self.threads:
            self._use_threads(threads)
        if self._arenas is not None:
            slots = len(self.plan.slots)
            args[slots] = start = self._arenas.address(self._shared_bytes)
            args[slots + 1] = start + self._arena_bytes
        if scalars is not self._numbers_given:  # a tuple never changes
            self._numbers[:] = [*scalars]
            self._numbers_given = scalars if type(scalars) is tuple else None
        given = self._given
        for k, room in self._copied:
            room[...] = given[k] = inputs[k]
        for k, i in self._passed:
            array = inputs[k]
            if array is not given[k] or k in self._copies:
                self._pass(k, i, array)
        results = self._results.copy()
        for k, i in self._large:
            result = results[k] = np.empty_like(results[k])
            args[i] = result.__array_interface__["data"][0]
        if self.program(args, threads):
            raise self._finding()
        for k in self._small:
            results[k] = results[k].copy()
        return results

    def release(self) -> None:
        """Let the inputs of the last run go; profiles need them."""
        self._given = [None] * len(self._given)
        self._copies.clear()

    def timed(self, program: Program, runs: int) -> tuple[np.ndarray, np.ndarray]:
        """Run ``program``, the plan's in its timed form, on the arguments of the last run.

        Returns seconds: f64[runs] of each run, and f64[runs, threads, launches, 2] as in :class:`Plan`.
        """
        calls = np.zeros(runs)
        spent = np.zeros((runs, self.plan.threads or num_threads(), len(self.plan.launches), 2))
        inputs, scalars = [x for x in self._given if x is not None], list(self._numbers)
        untimed, self.program = self.program, program
        try:
            for i in range(runs):
                self._args[len(self.plan.slots) + 2] = spent[i].ctypes.data
                start = perf_counter()
                self.run(inputs, scalars)
                calls[i] = perf_counter() - start
        finally:
            self.program = untimed
        return calls, spent

    def _finding(self) -> GenesisError:
        status = self.program.status
        return self.plan.checks[status.node].error(status.value, status.index)

    def close(self) -> None:
        """Give back the program and its memory; a later call raises ``DeviceError``."""
        self.program.close()
        self._held = []
        self.release()
        self._arena = self._scratch = self.device.alloc(0)
