"""Runs compiled kernels on an NVIDIA GPU: all launches of a program are captured once in one CUDA graph.

Only the driver library is needed, neither a compiler nor the CUDA toolkit.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from ctypes import byref, c_int, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any
from weakref import finalize

import numpy as np
import numpy.typing as npt

from compiler.errors import DeviceError
from runtime.devices import libcuda
from runtime.devices.libcuda import Driver

WARP = 32
DEFAULT_SHARED_LIMIT = 48 * 1024

_SCALARS: dict[str, Any] = {
    "i32": ctypes.c_int32,
    "u32": ctypes.c_uint32,
    "i64": ctypes.c_int64,
    "u64": ctypes.c_uint64,
    "fp32": ctypes.c_float,
    "fp64": ctypes.c_double,
}


@dataclass(frozen=True)
class KernelImage:
    """A kernel's machine code: the cubin, the function in it, and what Triton says a launch must provide.

    `parameters` are the Triton types of the arguments in order ("*bf16", "i32"), `shared` the dynamic shared memory and
    `global_scratch` the scratch memory per program, in bytes.
    """

    name: str
    cubin: bytes
    parameters: tuple[str, ...]
    num_warps: int
    shared: int = 0
    global_scratch: int = 0


@dataclass(frozen=True)
class Address:
    """A place in device memory: `offset` bytes into region number `region`. Region 0 is the program's arena."""

    region: int
    offset: int


@dataclass(frozen=True)
class KernelLaunch:
    """One launch of `images[kernel]` over `grid` programs, with addresses for pointers and numbers for scalars."""

    kernel: int
    grid: tuple[int, int, int]
    arguments: tuple[Address | int | float, ...]


@dataclass(frozen=True)
class Table:
    """64-bit numbers and addresses for kernels to read, `offset` bytes into the arena; written once."""

    offset: int
    entries: tuple[Address | int, ...]


@dataclass(frozen=True)
class Span:
    """`nbytes` bytes from `offset` on in the arena."""

    offset: int
    nbytes: int


NOTHING = Span(0, 0)


class CudaDevice:
    """GPU number `ordinal` and its primary context. Whatever is done on it makes the context current in its thread."""

    def __init__(self, ordinal: int = 0) -> None:
        self.driver = Driver()
        try:
            self.driver.cuInit(0)
        except DeviceError as error:
            raise DeviceError(f'no CUDA device: {error}. Run on the CPU with backend="c".') from error
        device, self._context = c_int(), c_void_p()
        self.driver.cuDeviceGet(byref(device), ordinal)
        self._device = device.value
        self.driver.cuDevicePrimaryCtxRetain(byref(self._context), self._device)
        self._capturing = False
        self._postponed: list[Callable[[], object]] = []
        self._closed = False

    def activate(self) -> None:
        """Makes the context current in the calling thread."""
        if self._closed:
            raise DeviceError("this GPU was closed; what was compiled for it cannot run any more")
        self.driver.cuCtxSetCurrent(self._context)

    def close(self) -> None:
        """Gives the context back. All memory on the GPU is freed first; a later use raises DeviceError."""
        if not self._closed:
            self._closed = True
            self.driver.cuDevicePrimaryCtxRelease_v2(self._device)

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """A time in which nothing may be freed; it is done at the end."""
        self._capturing = True
        try:
            yield
        finally:
            self._capturing = False
            postponed, self._postponed = self._postponed, []
            for free in postponed:
                self.give_back(free)

    def give_back(self, free: Callable[[], object]) -> None:
        """Calls `free`, in whatever thread, at the next time when a graph is not being captured.

        Garbage collection may ask for this at any time; so an error, after which the driver frees nothing, is no news.
        """
        if self._capturing:
            self._postponed.append(free)
        elif not self._closed:  # else it went with the context
            with suppress(DeviceError):
                self.activate()
                free()

    def check_version(self, toolkit: str) -> None:
        """Raises DeviceError unless the driver runs the machine code of a CUDA `toolkit` ("12.9").

        Within a major version an older driver runs what a newer toolkit made:
        https://docs.nvidia.com/deploy/cuda-compatibility, "minor version compatibility".
        """
        version = c_int()
        self.driver.cuDriverGetVersion(byref(version))
        major, minor = version.value // 1000, version.value % 1000 // 10
        if major < int(toolkit.split(".")[0]):
            raise DeviceError(
                f"the NVIDIA driver knows CUDA up to {major}.{minor}, but Triton's ptxas wrote machine code for CUDA "
                f"{toolkit}. Update the driver, install a version of Triton with an older ptxas, or run on the CPU "
                'with backend="c".'
            )

    def target(self) -> str:
        """The compilation target whose machine code this GPU runs: "sm_80", "sm_90" or "sm_100".

        From 9.0 on, code made for one compute capability runs on no other.
        """
        major = self._attribute(libcuda.DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        minor = self._attribute(libcuda.DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        if major == 8:
            return "sm_80"
        if (major, minor) in ((9, 0), (10, 0)):
            return f"sm_{major}{minor}"
        raise DeviceError(
            f"this GPU has compute capability {major}.{minor}; Genesis compiles for 8.x, 9.0 and 10.0. "
            'Run on the CPU with backend="c".'
        )

    def name(self) -> str:
        """The name that its maker gave it."""
        name = ctypes.create_string_buffer(256)
        self.driver.cuDeviceGetName(name, len(name), self._device)
        return name.value.decode()

    def memory(self) -> int:
        """Bytes of memory that it has."""
        nbytes = c_size_t()
        self.driver.cuDeviceTotalMem_v2(byref(nbytes), self._device)
        return nbytes.value

    def allocate(self, nbytes: int) -> DeviceMemory:
        """Uninitialised memory, aligned to 256 bytes, until its `free()`. Raises OutOfMemoryError without it."""
        return DeviceMemory(self, nbytes)

    def _attribute(self, attribute: int) -> int:
        value = c_int()
        self.driver.cuDeviceGetAttribute(byref(value), attribute, self._device)
        return value.value


class DeviceMemory:
    """A block of device memory. Copies wait until they are done, except `send`."""

    def __init__(self, device: CudaDevice, nbytes: int) -> None:
        self._device, self._driver = device, device.driver
        self.nbytes = nbytes
        pointer = c_uint64()
        device.activate()
        self._driver.cuMemAlloc_v2(byref(pointer), max(nbytes, 1))
        self.pointer = pointer.value

    def write(self, array: npt.NDArray[Any], offset: int = 0) -> None:
        """Copies a C-contiguous array to `offset` bytes from the start."""
        self._check(array, offset)
        self._device.activate()
        self._driver.cuMemcpyHtoD_v2(self.pointer + offset, array.ctypes.data, array.nbytes)

    def send(self, array: npt.NDArray[Any], stream: c_void_p, offset: int = 0) -> None:
        """Copies as `write` does, in the order of `stream`; until that is waited for, the array must not change."""
        self._check(array, offset)
        self._driver.cuMemcpyHtoDAsync_v2(self.pointer + offset, array.ctypes.data, array.nbytes, stream)

    def read(self, array: npt.NDArray[Any], offset: int = 0) -> None:
        """Fills a C-contiguous array from `offset` bytes on."""
        self._check(array, offset)
        self._device.activate()
        self._driver.cuMemcpyDtoH_v2(array.ctypes.data, self.pointer + offset, array.nbytes)

    def free(self) -> None:
        """Gives the memory back; to free it again does nothing."""
        pointer, self.pointer = self.pointer, 0
        if pointer:
            self._driver.cuMemFree_v2(pointer)

    def _check(self, array: npt.NDArray[Any], offset: int) -> None:
        if not array.flags.c_contiguous:
            raise ValueError("only C-contiguous arrays can be copied to and from a device")
        if not 0 <= offset <= self.nbytes - array.nbytes:
            raise ValueError(f"{array.nbytes} bytes at offset {offset} do not fit into {self.nbytes} bytes")


class CudaProgram:
    """A sequence of launches over one arena, ready to be run again and again.

    `inputs` and `outputs` are byte arrays in page-locked host memory that mirror the two spans of the arena. A run
    copies `inputs` to the device, launches the graph, copies `outputs` back and waits. `states` are further regions,
    numbered from 1, which keep their contents between runs and may be shared with other programs. `tables` are
    constants. `refresh` are launches that a run puts in front of the others if it is told to.
    """

    def __init__(
        self,
        device: CudaDevice,
        images: Sequence[KernelImage],
        launches: Sequence[KernelLaunch],
        *,
        arena_bytes: int,
        inputs: Span = NOTHING,
        outputs: Span = NOTHING,
        states: Sequence[DeviceMemory] = (),
        tables: Sequence[Table] = (),
        refresh: Sequence[KernelLaunch] = (),
    ) -> None:
        self._device, self._driver = device, device.driver
        device.activate()
        with ExitStack() as resources:
            self._resources = resources
            functions = [self._load(image) for image in images]
            self._arena = self._allocate(arena_bytes)
            scratch_bytes = _scratch_bytes(images, [*launches, *refresh])
            scratch = self._allocate(scratch_bytes).pointer if scratch_bytes else 0
            self._input_span, self._output_span = inputs, outputs
            self.inputs, self.outputs = self._host_array(inputs.nbytes), self._host_array(outputs.nbytes)
            self._stream = c_void_p()
            self._driver.cuStreamCreate(byref(self._stream), libcuda.STREAM_NON_BLOCKING)
            resources.callback(self._driver.cuStreamDestroy_v2, self._stream)
            regions = [self._arena.pointer, *(state.pointer for state in states)]
            for table in tables:
                entries = [e if isinstance(e, int) else regions[e.region] + e.offset for e in table.entries]
                self._arena.send(np.array(entries, np.int64), self._stream, table.offset)
                self._driver.cuStreamSynchronize(self._stream)
            with device.capturing():
                self._graph = self._capture(functions, images, launches, regions, scratch)
                self._refresh = self._capture(functions, images, refresh, regions, scratch) if refresh else None
            self._close = finalize(self, device.give_back, resources.pop_all().close)
            self._close.atexit = False  # the driver gives all back at the end of the process

    def run(self, uploads: Sequence[tuple[DeviceMemory, npt.NDArray[Any]]] = (), refresh: bool = False) -> None:
        """One execution of all launches, after `uploads` of arrays to states, and those of `refresh` where it is set.

        `outputs` is overwritten by the next run.
        """
        self._device.activate()
        driver, arena, stream = self._driver, self._arena.pointer, self._stream
        try:
            for memory, array in uploads:
                memory.send(array, stream)
            if self.inputs.size:
                source = self.inputs.ctypes.data
                driver.cuMemcpyHtoDAsync_v2(arena + self._input_span.offset, source, self.inputs.nbytes, stream)
            if refresh and self._refresh is not None:
                driver.cuGraphLaunch(self._refresh, stream)
            driver.cuGraphLaunch(self._graph, stream)
            if self.outputs.size:
                target = self.outputs.ctypes.data
                driver.cuMemcpyDtoHAsync_v2(target, arena + self._output_span.offset, self.outputs.nbytes, stream)
        except DeviceError:
            with suppress(DeviceError):
                driver.cuStreamSynchronize(stream)  # nothing reads the arrays any more
            raise
        driver.cuStreamSynchronize(stream)

    def close(self) -> None:
        """Gives back all that the program owns; `inputs` and `outputs` end with it. States are not its own."""
        self.inputs = self.outputs = np.empty(0, np.uint8)
        self._close()

    def __enter__(self) -> CudaProgram:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _load(self, image: KernelImage) -> c_void_p:
        driver, module, function = self._driver, c_void_p(), c_void_p()
        driver.cuModuleLoadData(byref(module), image.cubin)
        self._resources.callback(driver.cuModuleUnload, module)
        driver.cuModuleGetFunction(byref(function), module, image.name.encode())
        if image.shared > DEFAULT_SHARED_LIMIT:
            driver.cuFuncSetAttribute(function, libcuda.FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, image.shared)
        return function

    def _allocate(self, nbytes: int) -> DeviceMemory:
        memory = self._device.allocate(nbytes)
        self._resources.callback(memory.free)
        return memory

    def _host_array(self, nbytes: int) -> npt.NDArray[np.uint8]:
        if nbytes == 0:
            return np.empty(0, np.uint8)
        pointer = c_void_p()
        self._driver.cuMemHostAlloc(byref(pointer), nbytes, 0)
        self._resources.callback(self._driver.cuMemFreeHost, pointer)
        assert pointer.value is not None
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(pointer.value))

    def _capture(
        self,
        functions: Sequence[c_void_p],
        images: Sequence[KernelImage],
        launches: Sequence[KernelLaunch],
        regions: Sequence[int],
        scratch: int,
    ) -> c_void_p:
        driver, graph, executable = self._driver, c_void_p(), c_void_p()
        driver.cuStreamBeginCapture_v2(self._stream, libcuda.STREAM_CAPTURE_MODE_THREAD_LOCAL)
        try:
            for launch in launches:
                image = images[launch.kernel]
                values = _parameters(image, launch, regions, scratch)
                pointers = (c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
                block = (WARP * image.num_warps, 1, 1)
                driver.cuLaunchKernel(
                    functions[launch.kernel], *launch.grid, *block, image.shared, self._stream, pointers, None
                )
        except BaseException:
            with suppress(DeviceError):  # it fails where the launch did, but ends the capture
                driver.cuStreamEndCapture(self._stream, byref(graph))
            if graph:
                driver.cuGraphDestroy(graph)
            raise
        driver.cuStreamEndCapture(self._stream, byref(graph))
        self._resources.callback(driver.cuGraphDestroy, graph)
        driver.cuGraphInstantiateWithFlags(byref(executable), graph, 0)
        self._resources.callback(driver.cuGraphExecDestroy, executable)
        return executable


def _parameters(image: KernelImage, launch: KernelLaunch, regions: Sequence[int], scratch: int) -> list[Any]:
    """The values the driver reads: the arguments, then two pointers that Triton adds, global and profile scratch."""
    if len(launch.arguments) != len(image.parameters):
        raise ValueError(f"{image.name} takes {len(image.parameters)} arguments, not {len(launch.arguments)}")
    values: list[Any] = []
    for kind, argument in zip(image.parameters, launch.arguments):
        if kind.startswith("*") != isinstance(argument, Address):
            raise ValueError(f"{image.name} takes an argument of type {kind}, not {argument!r}")
        if isinstance(argument, Address):
            values.append(c_uint64(regions[argument.region] + argument.offset))
        else:
            values.append(_SCALARS[kind](argument))
    return [*values, c_uint64(scratch), c_uint64(0)]


def _scratch_bytes(images: Sequence[KernelImage], launches: Sequence[KernelLaunch]) -> int:
    """Launches run one after another, so the largest demand serves them all."""
    return max((images[launch.kernel].global_scratch * math.prod(launch.grid) for launch in launches), default=0)
