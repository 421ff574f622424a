"""Genesis compiles training programs: the whole step, from ``zero_grad`` to the scale update, as one program.

The names and their meanings are PyTorch's: ``genesis.nn``, ``genesis.optim``, ``genesis.amp``, ``genesis.utils.data``.
"""

# ruff: noqa: F401, F403

import types
import typing
from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

import genesis.neighbours  # finds foreign packages of the same names first

# isort: split

from compiler.errors import DeviceError as AcceleratorError
from compiler.errors import GenesisError as GenesisError
from compiler.errors import GenesisWarning as GenesisWarning
from compiler.errors import OutOfMemoryError as OutOfMemoryError
from compiler.ir import types as _types
from compiler.ops import all as _all  # makes the ops known
from genesis import accelerator as accelerator
from genesis import amp as amp
from genesis import autograd as autograd
from genesis import backends as backends
from genesis import compiler as compiler
from genesis import cpu as cpu
from genesis import cuda as cuda
from genesis import distributed as distributed
from genesis import distributions as distributions
from genesis import fft as fft
from genesis import func as func
from genesis import hub as hub
from genesis import jit as jit
from genesis import legacy as _legacy  # makes the old paths
from genesis import linalg as linalg
from genesis import masked as masked
from genesis import mps as mps
from genesis import multiprocessing as multiprocessing
from genesis import nn as nn
from genesis import optim as optim
from genesis import profiler as profiler
from genesis import random as random
from genesis import serialization as serialization
from genesis import special as special
from genesis import testing as testing
from genesis import utils as utils
from genesis import version as version
from genesis import xpu as xpu
from genesis.amp import GradScaler as GradScaler
from genesis.amp import autocast as autocast
from genesis.amp import get_autocast_dtype as get_autocast_dtype
from genesis.amp import get_autocast_gpu_dtype as get_autocast_gpu_dtype
from genesis.amp import is_autocast_enabled as is_autocast_enabled
from genesis.autograd import Variable as Variable
from genesis.autograd import enable_grad as enable_grad
from genesis.autograd import inference_mode as inference_mode
from genesis.autograd import is_anomaly_enabled as is_anomaly_enabled
from genesis.autograd import is_grad_enabled as is_grad_enabled
from genesis.autograd import no_grad as no_grad
from genesis.autograd import set_grad_enabled as set_grad_enabled
from genesis.device import Device as Device
from genesis.device import device as device
from genesis.edit import load_graph as load_graph
from genesis.fft import istft as istft
from genesis.fft import stft as stft
from genesis.func import vmap as vmap
from genesis.functions import *
from genesis.functions.queries import finfo as finfo
from genesis.functions.queries import iinfo as iinfo
from genesis.io import load as load
from genesis.io import load_checkpoint as load_checkpoint
from genesis.io import save as save
from genesis.io import save_checkpoint as save_checkpoint
from genesis.kinds import BFloat16Tensor as BFloat16Tensor
from genesis.kinds import BoolTensor as BoolTensor
from genesis.kinds import ByteTensor as ByteTensor
from genesis.kinds import CharTensor as CharTensor
from genesis.kinds import DoubleTensor as DoubleTensor
from genesis.kinds import FloatTensor as FloatTensor
from genesis.kinds import HalfTensor as HalfTensor
from genesis.kinds import IntTensor as IntTensor
from genesis.kinds import LongTensor as LongTensor
from genesis.kinds import ShortTensor as ShortTensor
from genesis.memory_format import channels_last as channels_last
from genesis.memory_format import channels_last_3d as channels_last_3d
from genesis.memory_format import contiguous_format as contiguous_format
from genesis.memory_format import layout as layout
from genesis.memory_format import memory_format as memory_format
from genesis.memory_format import preserve_format as preserve_format
from genesis.memory_format import strided as strided
from genesis.names import refuse_imports as _refuse_imports
from genesis.random import Generator as Generator
from genesis.random import default_generator as default_generator
from genesis.random import fork_rng as fork_rng
from genesis.random import get_rng_state as get_rng_state
from genesis.random import initial_seed as initial_seed
from genesis.random import manual_seed as manual_seed
from genesis.random import seed as seed
from genesis.random import set_rng_state as set_rng_state
from genesis.replaced import watch as _watch
from genesis.settings import are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled
from genesis.settings import get_default_device as get_default_device
from genesis.settings import get_default_dtype as get_default_dtype
from genesis.settings import get_deterministic_debug_mode as get_deterministic_debug_mode
from genesis.settings import get_float32_matmul_precision as get_float32_matmul_precision
from genesis.settings import get_num_interop_threads as get_num_interop_threads
from genesis.settings import (
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
)
from genesis.settings import is_warn_always_enabled as is_warn_always_enabled
from genesis.settings import set_default_device as set_default_device
from genesis.settings import set_default_dtype as set_default_dtype
from genesis.settings import set_default_tensor_type as set_default_tensor_type
from genesis.settings import set_deterministic_debug_mode as set_deterministic_debug_mode
from genesis.settings import set_float32_matmul_precision as set_float32_matmul_precision
from genesis.settings import set_flush_denormal as set_flush_denormal
from genesis.settings import set_num_interop_threads as set_num_interop_threads
from genesis.settings import set_warn_always as set_warn_always
from genesis.settings import use_deterministic_algorithms as use_deterministic_algorithms
from genesis.size import Size as Size
from genesis.step.monitoring import monitor as monitor
from genesis.step.program import compile as compile
from genesis.step.rate_test import lr_finder as lr_finder
from genesis.step.resume import verify_resume as verify_resume
from genesis.tensor import Tensor as Tensor
from genesis.tensor import tensor as tensor
from genesis.tensor.printing import set_printoptions as set_printoptions
from runtime.devices.pool import num_threads
from runtime.devices.pool import set_num_threads as set_num_threads

__version__ = version.__version__

get_num_threads = num_threads
newaxis = None

dtype = _types.DType
bfloat16 = _types.bf16
bool = _types.boolean
float16 = _types.f16
float32 = _types.f32
float64 = _types.f64
int8 = _types.i8
int16 = _types.i16
int32 = _types.i32
int64 = _types.i64
uint8 = _types.u8
half = float16
float = float32
double = float64
short = int16
int = int32
long = int64

_SPACES = (
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cpu,
    cuda,
    distributed,
    hub,
    jit,
    linalg,
    masked,
    mps,
    multiprocessing,
    distributions,
    fft,
    func,
    nn,
    optim,
    profiler,
    random,
    serialization,
    special,
    testing,
    utils,
    version,
    xpu,
)
__all__ = [
    name
    for name, thing in list(globals().items())
    if not name.startswith("_")
    and name != "num_threads"
    and (not isinstance(thing, types.ModuleType) or thing in _SPACES)
]

_refuse_imports()
_watch()
