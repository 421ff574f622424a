"""Runs a step of compiled GPU kernels with the contract of :class:`runtime.executor.Executor`."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.errors import DeviceError
from compiler.halves import HALVES, joined, split
from compiler.ir.types import dtype
from compiler.places import Place
from compiler.plan import UNTOUCHED, Buffer, Launch, Plan, read_word
from runtime.devices.cuda import Address, CudaDevice, CudaProgram, DeviceMemory, KernelImage, KernelLaunch, Span, Table

ALIGNMENT = 256  # bytes

Array = npt.NDArray[Any]


RESIDENT = ("state", "half", "shadow")
"""Kinds of buffers that the store keeps, for all programs."""


class Part:
    """Device memory for a state or a part of it, and the `version` of the state that it holds."""

    __slots__ = ("dtype", "memory", "version")

    def __init__(self, dtype: str, memory: DeviceMemory) -> None:
        self.dtype, self.memory = dtype, memory
        self.version = -1


class StateCopy:
    """The contents of an array on the device: whole, in halves (:mod:`compiler.halves`), or in fewer bits.

    These are its `parts`, by dtype; the whole has the dtype of the array. `version` counts changes of the contents: a
    part of this version is up to date, and so is the array where it has version `home`. While the contents are
    `on_device`, the array is read-only, so that a write that would be lost is an error; while they are not, the host
    may write at any time, and no part is up to date.
    """

    __slots__ = ("_writable", "home", "on_device", "parts", "version")

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}
        self.version = self.home = 0
        self.on_device = False
        self._writable = False

    def take(self, array: Array) -> None:
        """From now on the contents are the device's."""
        if not self.on_device:
            self.on_device = True
            self._writable = array.flags.writeable
            array.flags.writeable = False

    def bring_home(self, array: Array) -> None:
        """From now on the contents are the array's."""
        if self.on_device:
            self.read(array)
            self.on_device = False
            self.version = self.home = self.version + 1
            array.flags.writeable = self._writable

    def read(self, array: Array) -> None:
        """Brings the array up to date."""
        if self.home == self.version:
            return
        whole = self.parts.get(dtype(array.dtype).short)
        if whole is not None and whole.version == self.version:
            whole.memory.read(array)
        else:
            halves = {name: np.empty(array.shape, dtype(name).numpy) for name in HALVES}
            for name, half in halves.items():
                self.parts[name].memory.read(half)
            contents = joined(halves)
            ctypes.memmove(array.ctypes.data, contents.ctypes.data, array.nbytes)
        self.home = self.version

    def uploads(self, array: Array, parts: Iterable[Part]) -> list[tuple[DeviceMemory, Array]]:
        """The memory of those `parts`, halves or the whole, that are out of date, each with what it is to hold."""
        stale = [part for part in parts if part.version != self.version]
        if not stale:
            return []
        self.read(array)
        if stale[0].dtype == dtype(array.dtype).short:
            return [(part.memory, array) for part in stale]
        halves = split(array)
        return [(part.memory, halves[part.dtype]) for part in stale]

    def free(self) -> None:
        """Give all the memory back."""
        for part in self.parts.values():
            part.memory.free()


class StateStore:
    """Arrays of the host and what stands for each on the device, shared by all programs of a device.

    The contents have one owner. A run makes them the device's, and uploads what is out of date there. Whoever reads or
    writes an array on the host calls `fetch` first, which gives them back: then the next run uploads them again. So it
    does with contents that another program left in another form, in halves or whole: they go by way of the array.
    `time` counts such changes: a run finds all as the program's last one left it where it has not moved on.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self.time = 0
        self._copies: dict[int, StateCopy] = {}

    def resident(self, array: Array) -> StateCopy:
        """What stands for `array` on the device, freed with the array."""
        copy = self._copies.get(id(array))
        if copy is None:
            copy = self._copies[id(array)] = StateCopy()
            weakref.finalize(array, self._forget, id(array)).atexit = False
        return copy

    def part(self, copy: StateCopy, dtype: str, nbytes: int) -> Part:
        """A part of a state, for all programs; its memory is allocated when the first one asks for it."""
        if dtype not in copy.parts:
            copy.parts[dtype] = Part(dtype, self._device.allocate(nbytes))
        return copy.parts[dtype]

    def fetch(self, array: Array) -> None:
        """Makes `array` the host's: up to date, and its to write."""
        copy = self._copies.get(id(array))
        if copy is not None:
            self.time += copy.on_device
            copy.bring_home(array)

    def _forget(self, key: int) -> None:
        self._device.give_back(self._copies.pop(key).free)


@dataclass(frozen=True)
class BoundState:
    """A state as a step has it: the `parts` that it uses, by slot, and which of them are `shadows`, that it makes."""

    array: Array
    copy: StateCopy
    parts: Mapping[int, Part]
    shadows: Set[int]
    is_written: bool

    def uploads(self) -> list[tuple[DeviceMemory, Array]]:
        """What a run has to send to the device."""
        return self.copy.uploads(self.array, [part for slot, part in self.parts.items() if slot not in self.shadows])

    def has_stale_shadow(self) -> bool:
        """Whether a run has to make a shadow again."""
        return any(self.parts[slot].version != self.copy.version for slot in self.shadows)

    def note_run(self) -> None:
        """After a run the contents are the device's, and all parts that the step uses are up to date."""
        self.copy.take(self.array)
        self.copy.version += self.is_written
        for part in self.parts.values():
            part.version = self.copy.version


class CudaExecutor:
    """One step on a GPU, with its own temporaries.

    ``bind`` takes the arrays of the states, in slot order; ``run`` takes those of the inputs and the scalars and
    returns fresh arrays. After a run the states are the device's; ``fetch`` brings them back into the arrays. Raises
    IndexError when the step found an index out of range; the states are then as before the call. A failed ``bind`` or
    ``run`` leaves the executor, and who owns the states, as they were.
    """

    def __init__(self, step: Plan, images: Sequence[KernelImage], store: StateStore, device: CudaDevice) -> None:
        self._step, self._images, self.store, self._device = step, images, store, device
        self._states: list[BoundState] = []
        self._time = -1  # the store's, after the last run
        self._program: CudaProgram | None = None
        self._offsets = self._lay_out()

    def _lay_out(self) -> list[int]:
        """The arena: what a run takes in, the status words, which go both ways, what it gives, temporaries, tables."""
        buffers = self._step.buffers
        offsets = [0] * len(buffers)
        end = 0

        def place(*kinds: str, alignment: int = ALIGNMENT) -> None:
            nonlocal end
            for number, buffer in enumerate(buffers):
                if buffer.kind in kinds:
                    end = -(-end // alignment) * alignment
                    offsets[number] = end
                    end += _nbytes(buffer)

        place("input", "scalar")
        end = start = -(-end // ALIGNMENT) * ALIGNMENT
        place("status", alignment=8)
        self._inputs = Span(0, end)
        place("output")
        self._outputs = Span(start, end - start)
        arena = -(-end // ALIGNMENT) * ALIGNMENT
        for number, buffer in enumerate(buffers):
            if buffer.kind == "temporary":
                offsets[number] = arena + buffer.index
        end = arena + self._step.arena_bytes
        place("table")
        self._size = end
        return offsets

    def bind(self, states: Sequence[Array]) -> None:
        """Use ``states`` from now on; they are kept alive."""
        resident = self._resident(states)
        memory = {slot: part.memory for state in resident for slot, part in state.parts.items()}
        regions = {slot: 1 + i for i, slot in enumerate(memory)}

        def address(place: Place) -> Address:
            buffer = self._step.buffers[place.buffer]
            if buffer.kind in RESIDENT:
                return Address(regions[buffer.index], place.offset)
            return Address(0, self._offsets[place.buffer] + place.offset)

        tables = [
            Table(offset, tuple(e if isinstance(e, int) else address(e) for e in self._step.tables[b.index]))
            for b, offset in zip(self._step.buffers, self._offsets, strict=True)
            if b.kind == "table"
        ]
        numbers = {image.name: number for number, image in enumerate(self._images)}

        def bound(launch: Launch, iterations: dict[int, int]) -> KernelLaunch:
            places = tuple(address(a.at(iterations)) for a in launch.arguments)
            return KernelLaunch(numbers[launch.kernel], launch.grid, places)

        program = CudaProgram(
            self._device,
            self._images,
            [bound(launch, iterations) for launch, iterations in self._step.unrolled()],
            arena_bytes=self._size,
            inputs=self._inputs,
            outputs=self._outputs,
            states=list(memory.values()),
            tables=tables,
            refresh=[bound(launch, {}) for launch in self._step.refresh],
        )
        if self._program is not None:
            self._program.close()
        self._program = program
        self._states, self._time = resident, -1
        self._given = {b.index: self._view(n, program.inputs, 0) for n, b in self._of("input", "scalar")}
        results = {b.index: self._view(n, program.outputs, self._outputs.offset) for n, b in self._of("output")}
        self._results = [results[i] for i in sorted(results)]
        self._found = [self._view(n, program.outputs, self._outputs.offset) for n, _ in self._of("status")]
        for number, _ in self._of("status"):
            self._view(number, program.inputs, 0)[...] = UNTOUCHED

    def _resident(self, states: Sequence[Array]) -> list[BoundState]:
        """The states with memory for all that the step has of each: halves or the whole, and shadows."""
        slots, halved, written = self._step.slots, self._step.halved, set(self._step.written)
        found = []
        for slot, array in zip([i for i, s in enumerate(slots) if s.kind == "state"], states, strict=True):
            copy = self.store.resident(array)
            numbers = [slot] * (slot not in halved) + [part for part, state in self._step.parts if state == slot]
            parts = {i: self.store.part(copy, slots[i].dtype, slots[i].nbytes) for i in numbers}
            shadows = {i for i in numbers if slots[i].kind == "shadow"}
            found.append(BoundState(array, copy, parts, shadows, not written.isdisjoint(numbers)))
        return found

    def _of(self, *kinds: str) -> list[tuple[int, Buffer]]:
        return [(n, b) for n, b in enumerate(self._step.buffers) if b.kind in kinds]

    def _view(self, number: int, memory: Array, start: int) -> Array:
        buffer, offset = self._step.buffers[number], self._offsets[number] - start
        return memory[offset : offset + _nbytes(buffer)].view(dtype(buffer.dtype).numpy).reshape(buffer.shape)

    def run(self, inputs: Sequence[Array], scalars: Sequence[float]) -> list[Array]:
        """One call of the step."""
        if self._program is None:
            raise DeviceError("this step on the GPU was closed, or has no states yet; call the compiled function")
        arrays, numbers = iter(inputs), iter(scalars)
        for index, slot in enumerate(self._step.slots):
            if slot.kind == "input":
                self._given[index][...] = next(arrays)
            elif slot.kind == "scalar":
                self._given[index][...] = next(numbers)
        moved = self._states if self._time != self.store.time else []
        stale = any(state.has_stale_shadow() for state in moved)
        self._program.run([upload for state in moved for upload in state.uploads()], stale)
        for (_, buffer), word in zip(self._of("status"), self._found, strict=True):
            if word != UNTOUCHED:
                raise self._step.checks[buffer.index].error(*read_word(int(word)))
        for state in moved:
            state.note_run()
        if moved:
            self._time = self.store.time = self.store.time + 1
        return [result.copy() for result in self._results]

    def fetch(self) -> None:
        """Brings all states back into the bound arrays."""
        for state in self._states:
            self.store.fetch(state.array)

    def close(self) -> None:
        """Gives back what the step owns; the states' memory is the store's."""
        if self._program is not None:
            self._program.close()
            self._program = None


def _nbytes(buffer: Buffer) -> int:
    return prod(buffer.shape) * dtype(buffer.dtype).itemsize
