"""Say what Genesis finds on this machine, and what each thing that is missing costs.

The exit code is 0 where steps run compiled, 1 where only the NumPy interpreter runs them.
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec

from compiler.codegen.c.isa import isa_for
from compiler.errors import DeviceError
from compiler.pipeline import release
from genesis.gpu import gpu
from genesis.version import __version__
from runtime import processor, toolchain
from runtime.cache import cache_folder, cache_limit
from runtime.devices.pool import num_threads

Finding = tuple[str, str, str]
"""A thing looked for, the finding, and the cost of its absence; "" where nothing is missing."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(arguments: argparse.Namespace) -> int:
    found = list(findings())
    width = max(len(name) for name, _, _ in found)
    for name, value, cost in found:
        print(f"{name:<{width}}  {value}" + (f"\n{'':<{width}}  -> {cost}" if cost else ""))
    return 0 if _compiler() is not None else 1


def findings() -> Iterator[Finding]:
    """The findings, in the order in which they matter."""
    yield "genesis", f"{__version__}, Python {platform.python_version()} on {sys.platform} {platform.machine()}", ""
    yield from _c()
    yield "threads", f"{num_threads()} (GENESIS_NUM_THREADS, genesis.set_num_threads)", ""
    room = processor.memory()
    yield "memory", f"{room / 1e9:.1f} GB" if room is not None else "unknown", ""
    yield from _gpu()
    folder = cache_folder()
    if folder is None:
        yield "cache", "none", "no home folder: every process compiles its programs again; set GENESIS_CACHE"
    else:
        yield "cache", f"{folder}, at most {cache_limit() / 2**20:.0f} MiB (genesis cache ls)", ""
    for package in ("numpy", "networkx", "lark", "ml_dtypes"):
        yield package, release(package) or "missing", "" if release(package) else f"needed: pip install {package}"
    for package, cost in (("rich", "bars are lines of text"), ("safetensors", ""), ("torch", "")):
        if release(package) or cost:
            yield package, release(package) or "not installed", "" if release(package) else cost


def _compiler() -> toolchain.Compiler | None:
    try:
        return toolchain.find_compiler()
    except DeviceError:
        return None


def _c() -> Iterator[Finding]:
    try:
        compiler = toolchain.find_compiler()
    except DeviceError as error:
        yield "C compiler", f"does not work: {error}", "steps run in the NumPy interpreter, 10 to 100 times slower"
        return
    if compiler is None:
        cost = (
            "steps run in the NumPy interpreter, 10 to 100 times slower; install gcc or clang, or pip install ziglang"
        )
        yield "C compiler", "none", cost
        return
    isa = isa_for(compiler.features)
    command = " ".join(compiler.command)
    yield "C compiler", f"{command} ({compiler.family} {compiler.version}), march {toolchain.march()}", ""
    yield "code", f"{isa.name}: {isa.lanes} floats in a vector", ""
    slow = "" if isa.bf16_dot else "bf16 products run as float32 products: no faster, in half the memory"
    yield "bf16", "products in hardware" if isa.bf16_dot else "no products in hardware", slow


def _gpu() -> Iterator[Finding]:
    if find_spec("triton") is None:
        yield "triton", "not installed", 'no kernels for a GPU: backend="cuda" and cost(device="h100") do not work'
    else:
        yield "triton", release("triton"), ""
    try:
        device, _ = gpu()
    except DeviceError as error:
        yield "GPU", f"none: {str(error).splitlines()[0]}", 'backend="cuda" does not work; steps run on the CPU'
    else:
        yield "GPU", device.target(), ""
