"""Genesis compiles training programs: the whole step, from ``zero_grad`` to the scale update, as one program.

The names and their meanings are PyTorch's: ``genesis.nn``, ``genesis.optim``, ``genesis.amp``, ``genesis.utils.data``.
"""

# ruff: noqa: F401, F403

import types

import genesis.neighbours  # finds foreign packages of the same names first

# isort: split

import compiler.ops.all  # makes the ops known
from compiler.errors import GenesisError, GenesisWarning
from compiler.ir.types import DType as dtype
from compiler.ir.types import bf16 as bfloat16
from compiler.ir.types import boolean as bool
from compiler.ir.types import f16 as float16
from compiler.ir.types import f32 as float32
from compiler.ir.types import f64 as float64
from compiler.ir.types import i8 as int8
from compiler.ir.types import i16 as int16
from compiler.ir.types import i32 as int32
from compiler.ir.types import i64 as int64
from compiler.ir.types import u8 as uint8
from genesis import amp, autograd, nn, optim, utils
from genesis.amp import autocast
from genesis.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from genesis.device import Device, device
from genesis.functions import *
from genesis.io import load_checkpoint, save_checkpoint
from genesis.names import module_getattr
from genesis.program import compile
from genesis.random import Generator, default_generator, get_rng_state, manual_seed, set_rng_state
from genesis.tensor import Size, Tensor, tensor
from runtime.devices.pool import num_threads as get_num_threads
from runtime.devices.pool import set_num_threads

__version__ = "0.1.0"

half = float16
float = float32
double = float64
short = int16
int = int32
long = int64

_SPACES = (amp, autograd, nn, optim, utils)
__all__ = [
    name
    for name, thing in list(globals().items())
    if not name.startswith("_")
    and thing is not module_getattr
    and (not isinstance(thing, types.ModuleType) or thing in _SPACES)
]

__getattr__ = module_getattr("genesis", globals())
