"""Genesis compiles training programs: the whole step, from ``zero_grad`` to the scale update, as one program.

The names and their meanings are PyTorch's: ``genesis.nn``, ``genesis.optim``, ``genesis.amp``, ``genesis.utils.data``.
"""

# ruff: noqa: F401

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
from genesis.functions import (
    abs,
    add,
    addcdiv,
    addcmul,
    addmm,
    all,
    allclose,
    amax,
    amin,
    any,
    arange,
    argmax,
    argmin,
    as_tensor,
    baddbmm,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    bmm,
    broadcast_to,
    cat,
    ceil,
    chunk,
    clamp,
    clone,
    cos,
    detach,
    div,
    dot,
    empty,
    empty_like,
    eq,
    equal,
    erf,
    exp,
    expm1,
    eye,
    flatten,
    flip,
    floor,
    floor_divide,
    from_dlpack,
    from_numpy,
    full,
    full_like,
    gather,
    ge,
    gt,
    index_select,
    is_tensor,
    isfinite,
    isinf,
    isnan,
    le,
    lerp,
    linspace,
    log,
    log1p,
    log2,
    log_softmax,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    logsumexp,
    lt,
    masked_fill,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mm,
    mul,
    mv,
    narrow,
    ne,
    neg,
    norm,
    ones,
    ones_like,
    outer,
    permute,
    pow,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    reciprocal,
    relu,
    remainder,
    reshape,
    round,
    rsqrt,
    scan,
    scatter_add,
    select,
    sigmoid,
    sign,
    sin,
    softmax,
    split,
    sqrt,
    square,
    squeeze,
    stack,
    std,
    sub,
    sum,
    t,
    tanh,
    transpose,
    tril,
    triu,
    true_divide,
    trunc,
    unbind,
    unflatten,
    unsqueeze,
    var,
    where,
    zeros,
    zeros_like,
)
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

__all__ = [name for name in dir() if not name.startswith("_") and name not in ("compiler", "module_getattr")]

__getattr__ = module_getattr("genesis", globals())
