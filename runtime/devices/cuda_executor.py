"""Runs a step of compiled GPU kernels with the contract of :class:`runtime.executor.Executor`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy.typing as npt

from compiler.errors import DeviceError
from compiler.ir.types import dtype
from compiler.places import Place
from compiler.plan import UNTOUCHED, Buffer, Launch, Plan, read_word
from runtime.devices.cuda import Address, CudaDevice, CudaProgram, DeviceMemory, KernelImage, KernelLaunch, Span, Table

ALIGNMENT = 256  # bytes

Array = npt.NDArray[Any]


class ShadowCopy:
    """Device memory that holds a state in fewer bits, and the `version` of the state that it was made of."""

    __slots__ = ("memory", "version")

    def __init__(self, memory: DeviceMemory) -> None:
        self.memory = memory
        self.version = -1


class StateCopy:
    """The device memory that stands for an array, and which of the two is the newest: `on_device` or the array.

    While it is the device's, the array is read-only, so that a write that would be lost is an error. `version` counts
    the changes of the memory, and `shadows` are what it is in fewer bits, by dtype.
    """

    __slots__ = ("_writable", "memory", "on_device", "shadows", "version")

    def __init__(self, memory: DeviceMemory) -> None:
        self.memory = memory
        self.on_device = False
        self.version = 0
        self.shadows: dict[str, ShadowCopy] = {}
        self._writable = False

    def take(self, array: Array) -> None:
        """From now on the device has the newest contents."""
        if not self.on_device:
            self.on_device = True
            self.version += 1
            self._writable = array.flags.writeable
            array.flags.writeable = False

    def bring_home(self, array: Array) -> None:
        """From now on the array has the newest contents."""
        if self.on_device:
            self.memory.read(array)
            self.on_device = False
            array.flags.writeable = self._writable

    def free(self) -> None:
        """Give all the memory back."""
        for memory in (self.memory, *(shadow.memory for shadow in self.shadows.values())):
            memory.free()


class StateStore:
    """Arrays of the host and the device memory that stands for each, shared by all programs of a device.

    Each has one owner. A run gives the arrays that are the host's to the device, and uploads them. Whoever reads or
    writes one on the host calls `fetch` first, which gives it back: then the next run uploads it again.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._copies: dict[int, StateCopy] = {}

    def resident(self, array: Array) -> StateCopy:
        """The device memory for `array`, of any contents when it is new; freed with the array."""
        copy = self._copies.get(id(array))
        if copy is None:
            copy = self._copies[id(array)] = StateCopy(self._device.allocate(array.nbytes))
            weakref.finalize(array, self._forget, id(array)).atexit = False
        return copy

    def shadow(self, copy: StateCopy, dtype: str, nbytes: int) -> ShadowCopy:
        """A state in fewer bits, which all programs share too; it has no version when it is new."""
        if dtype not in copy.shadows:
            copy.shadows[dtype] = ShadowCopy(self._device.allocate(nbytes))
        return copy.shadows[dtype]

    def fetch(self, array: Array) -> None:
        """Makes `array` the host's: up to date, and its to write."""
        copy = self._copies.get(id(array))
        if copy is not None:
            copy.bring_home(array)

    def _forget(self, key: int) -> None:
        self._device.give_back(self._copies.pop(key).free)


class CudaExecutor:
    """One step on a GPU, with its own temporaries.

    ``bind`` takes the arrays of the states, in slot order; ``run`` takes those of the inputs and the scalars and
    returns fresh arrays. After a run the states are the device's; ``fetch`` brings them back into the arrays. Raises
    IndexError when the step found an index out of range; the states are then as before the call. A failed ``bind`` or
    ``run`` leaves the executor, and who owns the states, as they were.
    """

    def __init__(self, step: Plan, images: Sequence[KernelImage], store: StateStore, device: CudaDevice) -> None:
        self._step, self._images, self.store, self._device = step, images, store, device
        self._states: list[tuple[StateCopy, Array]] = []
        self._shadows: list[tuple[StateCopy, ShadowCopy]] = []
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
        slots = [b.index for b in self._step.buffers if b.kind == "state"]
        shadows = [slot for slot, _ in self._step.shadows]
        regions = {slot: 1 + i for i, slot in enumerate([*slots, *shadows])}
        addresses = [
            Address(regions[b.index], 0) if b.kind in ("state", "shadow") else Address(0, offset)
            for b, offset in zip(self._step.buffers, self._offsets, strict=True)
        ]

        def address(place: Place) -> Address:
            base = addresses[place.buffer]
            return Address(base.region, base.offset + place.offset)

        tables = [
            Table(offset, tuple(e if isinstance(e, int) else address(e) for e in self._step.tables[b.index]))
            for b, offset in zip(self._step.buffers, self._offsets, strict=True)
            if b.kind == "table"
        ]
        numbers = {image.name: number for number, image in enumerate(self._images)}

        def bound(launch: Launch, iterations: dict[int, int]) -> KernelLaunch:
            places = tuple(address(a.at(iterations)) for a in launch.arguments)
            return KernelLaunch(numbers[launch.kernel], launch.grid, places)

        copies = [self.store.resident(array) for array in states]
        owners = dict(zip(slots, copies, strict=True))
        kept = [(owners[state], self._shadow(slot, owners[state])) for slot, state in self._step.shadows]
        program = CudaProgram(
            self._device,
            self._images,
            [bound(launch, iterations) for launch, iterations in self._step.unrolled()],
            arena_bytes=self._size,
            inputs=self._inputs,
            outputs=self._outputs,
            states=[*(copy.memory for copy in copies), *(shadow.memory for _, shadow in kept)],
            tables=tables,
            refresh=[bound(launch, {}) for launch in self._step.refresh],
        )
        if self._program is not None:
            self._program.close()
        self._program = program
        self._states = list(zip(copies, states, strict=True))
        self._shadows = kept
        self._written = [owners[slot] for slot in self._step.written if slot in owners]
        self._given = {b.index: self._view(n, program.inputs, 0) for n, b in self._of("input", "scalar")}
        results = {b.index: self._view(n, program.outputs, self._outputs.offset) for n, b in self._of("output")}
        self._results = [results[i] for i in sorted(results)]
        self._found = [self._view(n, program.outputs, self._outputs.offset) for n, _ in self._of("status")]
        for number, _ in self._of("status"):
            self._view(number, program.inputs, 0)[...] = UNTOUCHED

    def _shadow(self, slot: int, copy: StateCopy) -> ShadowCopy:
        (buffer,) = (b for b in self._step.buffers if b.kind == "shadow" and b.index == slot)
        return self.store.shadow(copy, buffer.dtype, _nbytes(buffer))

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
        stale = any(shadow.version != copy.version or not copy.on_device for copy, shadow in self._shadows)
        self._program.run([(copy.memory, array) for copy, array in self._states if not copy.on_device], stale)
        for (_, buffer), word in zip(self._of("status"), self._found, strict=True):
            if word != UNTOUCHED:
                raise self._step.checks[buffer.index].error(*read_word(int(word)))
        for copy, array in self._states:
            copy.take(array)
        for copy in self._written:
            copy.version += 1
        for copy, shadow in self._shadows:
            shadow.version = copy.version
        return [result.copy() for result in self._results]

    def fetch(self) -> None:
        """Brings all states back into the bound arrays."""
        for copy, array in self._states:
            copy.bring_home(array)

    def close(self) -> None:
        """Gives back what the step owns; the states' memory is the store's."""
        if self._program is not None:
            self._program.close()
            self._program = None


def _nbytes(buffer: Buffer) -> int:
    return prod(buffer.shape) * dtype(buffer.dtype).itemsize
