"""The CUDA driver library through ctypes: the few calls Genesis makes, each of them checked.

Types and names are those of the CUDA driver API, https://docs.nvidia.com/cuda/cuda-driver-api. Where a header maps a
name to a later version, the prototype table names that version, as the library exports it.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_ulonglong, c_void_p
from typing import Any

from compiler.errors import DeviceError, OutOfMemoryError

LIBRARY = "libcuda.so.1"
LIBRARY_VARIABLE = "GENESIS_LIBCUDA"

DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75
DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76
FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
OUT_OF_MEMORY = 2
STREAM_NON_BLOCKING = 1
STREAM_CAPTURE_MODE_THREAD_LOCAL = 1

_device_pointer = c_uint64
_handle = c_void_p
_handle_out = POINTER(c_void_p)

_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDevicePrimaryCtxRetain": (_handle_out, c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (_handle,),
    "cuModuleLoadData": (_handle_out, c_char_p),
    "cuModuleUnload": (_handle,),
    "cuModuleGetFunction": (_handle_out, _handle, c_char_p),
    "cuFuncSetAttribute": (_handle, c_int, c_int),
    "cuMemAlloc_v2": (POINTER(_device_pointer), c_size_t),
    "cuMemFree_v2": (_device_pointer,),
    "cuMemHostAlloc": (_handle_out, c_size_t, c_uint),
    "cuMemFreeHost": (_handle,),
    "cuMemcpyHtoD_v2": (_device_pointer, c_void_p, c_size_t),
    "cuMemcpyDtoH_v2": (c_void_p, _device_pointer, c_size_t),
    "cuMemcpyHtoDAsync_v2": (_device_pointer, c_void_p, c_size_t, _handle),
    "cuMemcpyDtoHAsync_v2": (c_void_p, _device_pointer, c_size_t, _handle),
    "cuStreamCreate": (_handle_out, c_uint),
    "cuStreamDestroy_v2": (_handle,),
    "cuStreamSynchronize": (_handle,),
    "cuStreamBeginCapture_v2": (_handle, c_int),
    "cuStreamEndCapture": (_handle, _handle_out),
    "cuLaunchKernel": (_handle, *(c_uint,) * 7, _handle, _handle_out, _handle_out),
    "cuGraphInstantiateWithFlags": (_handle_out, _handle, c_ulonglong),
    "cuGraphLaunch": (_handle, _handle),
    "cuGraphDestroy": (_handle,),
    "cuGraphExecDestroy": (_handle,),
}


class Driver:
    """The loaded driver library. `driver.cuInit(0)` calls a function; any status but success raises DeviceError."""

    def __init__(self) -> None:
        path = os.environ.get(LIBRARY_VARIABLE, LIBRARY)
        try:
            self._library = ctypes.CDLL(path)
        except OSError as error:
            raise DeviceError(
                f"no CUDA driver: {path} cannot be loaded ({error}). Install the NVIDIA driver, name its library in "
                f'{LIBRARY_VARIABLE}, or run on the CPU with backend="c".'
            ) from error

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)
        function.argtypes = _PROTOTYPES[name]

        def checked(*arguments: Any) -> None:
            status = function(*arguments)
            if status:
                kind = OutOfMemoryError if status == OUT_OF_MEMORY else DeviceError
                raise kind(f"{name} failed: {self._describe(status)}")

        setattr(self, name, checked)
        return checked

    def _describe(self, status: int) -> str:
        name, text = c_char_p(), c_char_p()
        self._library.cuGetErrorName(status, ctypes.byref(name))
        self._library.cuGetErrorString(status, ctypes.byref(text))
        if name.value is None or text.value is None:
            return f"unknown CUDA error {status}"
        return f"{name.value.decode()} ({text.value.decode()})"
