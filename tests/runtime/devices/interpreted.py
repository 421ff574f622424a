"""A GPU whose kernels Triton's interpreter runs, for a process where TRITON_INTERPRET=1: numbers without a GPU.

:func:`plugged_in` puts it in the place of the real one. What a step does, and who owns its states, is the code that
drives a GPU; only memory and programs are the host's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.ir.types import DTYPES
from compiler.plan import Plan
from genesis import compiled
from genesis.step import cost_report
from runtime.devices import cuda_executor
from runtime.devices.cuda import NOTHING, Address, KernelImage, KernelLaunch, Span, Table
from runtime.devices.cuda_executor import CudaExecutor, StateStore
from runtime.triton.aot import load_module
from runtime.triton.interpreter import run_kernel

SHORT = {"i1": "bool", "fp16": "f16", "fp32": "f32", "fp64": "f64"}
"""Types of a kernel's signature whose spelling in the IR is another."""


class Memory:
    def __init__(self, device: Device, nbytes: int) -> None:
        self.device, self.nbytes = device, nbytes
        self.data = np.full(max(nbytes, 1), 0xEE, np.uint8)
        device.allocated += nbytes

    def send(self, array: np.ndarray, stream: object = None) -> None:
        self.data[:] = array.reshape(-1).view(np.uint8)
        self.device.uploads.append(array.dtype.name)

    def read(self, array: np.ndarray) -> None:
        array.setflags(write=True)
        array.reshape(-1).view(np.uint8)[:] = self.data

    def free(self) -> None:
        self.device.allocated -= self.nbytes


class Device:
    """``allocated``: bytes; ``uploads``: the dtypes of arrays that were sent."""

    def __init__(self) -> None:
        self.allocated = 0
        self.uploads: list[str] = []

    def allocate(self, nbytes: int) -> Memory:
        return Memory(self, nbytes)

    def give_back(self, free: Callable[[], object]) -> None:
        free()

    def target(self) -> str:
        return "sm_90"

    def memory(self) -> int:
        return 2**30


class Program:
    """As :class:`runtime.devices.cuda.CudaProgram`; an image's machine code is the text of its module."""

    def __init__(
        self,
        device: Device,
        images: Sequence[KernelImage],
        launches: Sequence[KernelLaunch],
        *,
        arena_bytes: int,
        inputs: Span = NOTHING,
        outputs: Span = NOTHING,
        states: Sequence[Memory] = (),
        tables: Sequence[Table] = (),
        refresh: Sequence[KernelLaunch] = (),
    ) -> None:
        self._images, self._launches, self._refresh = images, launches, refresh
        self._regions = [np.zeros(arena_bytes, np.uint8), *(state.data for state in states)]
        self._arena, self._spans = self._regions[0], (inputs, outputs)
        self.inputs, self.outputs = (np.zeros(span.nbytes, np.uint8) for span in (inputs, outputs))
        for table in tables:
            entries = [e if isinstance(e, int) else self._at(e).ctypes.data for e in table.entries]
            self._arena[table.offset :][: 8 * len(entries)] = np.array(entries, np.int64).view(np.uint8)

    def run(self, uploads: Sequence[tuple[Memory, np.ndarray]] = (), refresh: bool = False) -> None:
        for memory, array in uploads:
            memory.send(array)
        given, taken = self._spans
        self._arena[given.offset :][: given.nbytes] = self.inputs
        for launch in [*self._refresh * refresh, *self._launches]:
            image = self._images[launch.kernel]
            pairs = zip(image.parameters, launch.arguments, strict=True)
            arguments = [self._typed(self._at(place), kind) for kind, place in pairs if isinstance(place, Address)]
            kernel = getattr(load_module(image.cubin.decode()), image.name)
            run_kernel(kernel, launch.grid, arguments, reachable=self._regions)
        self.outputs[:] = self._arena[taken.offset :][: taken.nbytes]

    def close(self) -> None:
        pass

    def _at(self, place: Address) -> np.ndarray:
        return self._regions[place.region][place.offset :]

    @staticmethod
    def _typed(data: np.ndarray, kind: str) -> np.ndarray:
        numpy = DTYPES[SHORT.get(kind[1:], kind[1:])].numpy
        return data[: data.size // numpy.itemsize * numpy.itemsize].view(numpy)


@contextmanager
def plugged_in(cache: str) -> Iterator[Device]:
    """``backend="cuda"`` compiles for this device, with a ``cache`` folder of its own."""
    device: Any = Device()
    store = StateStore(device)

    def executor(plan: Plan) -> CudaExecutor:
        text = plan.source.encode()
        images = [KernelImage(k.name, text, tuple(t for _, t in k.parameters), k.warps) for k in plan.kernels]
        return CudaExecutor(plan, images, store, device)

    Path(cache).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENESIS_CACHE", cache)
        patch.setattr(cuda_executor, "CudaProgram", Program)
        for module in (compiled, cost_report):
            patch.setattr(module, "gpu", lambda: (device, store))
        patch.setattr(compiled, "gpu_executor", executor)
        yield device
