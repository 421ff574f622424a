"""Mixed precision as a PyTorch user writes it: ``autocast`` regions and the gradient scaler."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from contextlib import ContextDecorator
from dataclasses import dataclass
from enum import Enum
from functools import partial, wraps
from typing import Any
from weakref import WeakKeyDictionary, ref

import numpy as np

from compiler.errors import ChoiceError, DeviceError, GenesisWarning, InvariantError, MisuseError, TraceError
from compiler.ir.graph import Value
from compiler.ir.location import here, user_location
from compiler.ir.op import o
from compiler.ir.types import DType, bf16, f16
from compiler.ir.types import dtype as to_dtype
from genesis.context import current_recording, grad_mode, session
from genesis.device import device
from genesis.eager.calls import EagerBuilder
from genesis.functions.conversion import copy_, fill_, to
from genesis.functions.shapes import reshape
from genesis.live import LiveDict, as_f64, changes
from genesis.optim.optimizer import Optimizer
from genesis.pytree import map_leaves
from genesis.recording import Trace
from genesis.replaced import Watched
from genesis.tensor import Tensor, from_array, wrap

__all__ = [
    "GradScaler",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_available",
    "is_autocast_enabled",
]

_DEFAULT_DTYPE = {"cpu": bf16, "cuda": f16}


class autocast(ContextDecorator, metaclass=Watched):
    """Inside, products run in 16 bits and what needs the range in float32, as PyTorch's lists for the device say.

    Without arguments: the device the step is compiled for (the CPU otherwise); bfloat16 on the CPU, float16 on CUDA.
    Casts of parameters are kept until the outermost region ends, whatever ``cache_enabled`` says. A dtype of more than
    16 bits disables the region with a warning.
    """

    def __init__(
        self,
        device_type: str | None = None,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        self.device_type = None if device_type is None else device(device_type).type
        if self.device_type not in (None, *_DEFAULT_DTYPE):
            raise DeviceError(here(f"autocast for device {self.device_type!r}; Genesis has 'cpu' and 'cuda'"))
        self.dtype = None if dtype is None else to_dtype(dtype)
        self.enabled = enabled
        self._outside: list[tuple[DType, str] | None] = []
        if enabled and self.dtype not in (None, f16, bf16):
            name = (self.device_type or "").upper()
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{name} Autocast only supports dtypes of genesis.bfloat16, genesis.float16 currently.",
                GenesisWarning,
                stacklevel=2,
            )
            self.enabled = False

    def __enter__(self) -> autocast:
        here = session()
        self._outside.append(here.autocast)
        target = self.device_type if self.device_type is not None else here.target
        here.autocast = (self.dtype or _DEFAULT_DTYPE[target], target) if self.enabled else None
        return self

    def __exit__(self, *exc: Any) -> None:
        here = session()
        here.autocast = self._outside.pop()
        if here.autocast is None and isinstance(here, EagerBuilder):
            here.weight_casts.clear()


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether ops run in an ``autocast`` region here; with ``device_type``, in one with the lists of that device."""
    region = session().autocast
    return region is not None and (device_type is None or device(device_type).type == region[1])


def get_autocast_dtype(device_type: str) -> DType:
    """The dtype of 16 bits of the ``autocast`` region here, or of one that gives none, on that device."""
    region = session().autocast
    kind = device(device_type).type
    return region[0] if region is not None and region[1] == kind else _default_dtype(kind)


def get_autocast_gpu_dtype() -> DType:
    """``get_autocast_dtype("cuda")``."""
    return get_autocast_dtype("cuda")


def is_autocast_available(device_type: str) -> bool:
    """Whether ``autocast`` has lists for that device: ``"cpu"`` and ``"cuda"``."""
    return device(device_type).type in _DEFAULT_DTYPE


def _default_dtype(kind: str) -> DType:
    if kind not in _DEFAULT_DTYPE:
        raise DeviceError(here(f"autocast for device {kind!r}; Genesis has 'cpu' and 'cuda'"))
    return _DEFAULT_DTYPE[kind]


def custom_fwd(fwd: Any = None, *, device_type: str, cast_inputs: DType | None = None) -> Any:
    """Decorate ``forward`` of an ``autograd.Function``: :func:`custom_bwd` then runs ``backward`` in the same mode.

    ``cast_inputs``: inside an ``autocast`` region, floating tensors come in that dtype, and the region ends.
    """
    if fwd is None:
        return partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @wraps(fwd)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        region = session().autocast
        if cast_inputs is None or region is None:
            ctx._autocast = region
            return fwd(ctx, *args, **kwargs)
        ctx._autocast = None
        with autocast(device_type, enabled=False):
            return fwd(
                ctx, *map_leaves(partial(_cast, cast_inputs), args), **map_leaves(partial(_cast, cast_inputs), kwargs)
            )

    return forward


def custom_bwd(bwd: Any = None, *, device_type: str) -> Any:
    """Decorate ``backward`` of an ``autograd.Function``: it runs with autocast as :func:`custom_fwd` had it."""
    if bwd is None:
        return partial(custom_bwd, device_type=device_type)

    @wraps(bwd)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        builder = session()
        saved, builder.autocast = builder.autocast, ctx._autocast
        try:
            return bwd(ctx, *args, **kwargs)
        finally:
            builder.autocast = saved

    return backward


def _cast(target: DType, path: str, leaf: Any) -> Any:
    return to(leaf, target) if isinstance(leaf, Tensor) and leaf.dtype.is_floating_point else leaf


class _Stage(Enum):
    READY = "ready"
    UNSCALED = "unscaled"
    STEPPED = "stepped"


@dataclass
class _Progress:
    """How far one optimizer is since the last update; ``found_inf`` is f32[], 1 where a gradient was not finite."""

    stage: _Stage = _Stage.READY
    found_inf: Value | None = None


class _Options(LiveDict):
    """The numbers of a gradient scaler."""

    exact = frozenset(("growth_interval",))

    def __init__(self, items: Mapping[str, float], scaler: GradScaler) -> None:
        super().__init__(items)
        self._scaler = ref(scaler)

    def label(self, key: Any, item: int | None = None) -> str:
        scaler = self._scaler()
        return str(key) if scaler is None else f"{scaler.label}.{key}"


class GradScaler(metaclass=Watched):
    """Dynamic loss scaling: scales the loss up, the gradients down, and skips steps whose gradients overflowed.

    On an overflow the scale is multiplied by ``backoff_factor``; after ``growth_interval`` good steps in a row by
    ``growth_factor``. It works on every device; ``device`` is accepted and not looked at. In a compiled step nothing
    is decided on the host: a step that overflowed leaves parameters and state of the optimizer as they were.
    Source: Micikevicius et al., "Mixed precision training", 2018.
    """

    def __init__(
        self,
        device: str | None = None,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled:
            _require(growth_factor > 1.0, "The growth factor must be > 1.0.")
            _require(backoff_factor < 1.0, "The backoff factor must be < 1.0.")
        self.label = "scaler"
        self._enabled = enabled
        factors = {"growth_factor": growth_factor, "backoff_factor": backoff_factor, "growth_interval": growth_interval}
        self._options = _Options(factors, self)
        self._init_scale, self._init_growth_tracker = init_scale, 0
        self._scale: Tensor | None = None
        self._growth_tracker: Tensor | None = None
        self._progress: dict[int, _Progress] = {}
        self._recorded: WeakKeyDictionary[Trace, dict[int, _Progress]] = WeakKeyDictionary()

    # The four calls of an iteration

    def scale(self, outputs: Any) -> Any:
        """``outputs``, a tensor or nested iterables of tensors, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            if self._scale is None:
                self._scale = from_array(np.array(self._init_scale, np.float32))
                self._growth_tracker = from_array(np.array(self._init_growth_tracker, np.int32))
            self._scale._cell.label = f"{self.label}.scale"
            return wrap(o.scale_loss(outputs.value, self._scale.value))
        if isinstance(outputs, list | tuple):
            return type(outputs)(map(self.scale, outputs))
        if isinstance(outputs, Iterable):
            return map(self.scale, outputs)
        raise ChoiceError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Optimizer) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, and look for overflows."""
        if not self._enabled:
            return
        scale, _ = self._created("unscale_")
        progress = self._of(optimizer)
        if progress.stage is _Stage.UNSCALED:
            raise MisuseError("unscale_() has already been called on this optimizer since the last update().")
        if progress.stage is _Stage.STEPPED:
            raise MisuseError("unscale_() is being called after step().")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if any(g.dtype is f16 for g in grads):
            raise ChoiceError("Attempting to unscale FP16 gradients.")
        if grads:
            with grad_mode(False):
                *unscaled, progress.found_inf = o.unscale(*(g.value for g in grads), scale.value)
                for g, value in zip(grads, unscaled):
                    g.write(value)
        progress.stage = _Stage.UNSCALED

    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step(*args, **kwargs)`` unless a gradient overflowed; unscales first where that was not done."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise MisuseError("Closure use is not currently supported if GradScaler is enabled.")
        scale, _ = self._created("step")
        progress = self._of(optimizer)
        if progress.stage is _Stage.STEPPED:
            raise MisuseError("step() has already been called since the last update().")
        if progress.stage is _Stage.READY:
            self.unscale_(optimizer)
        found_inf = _require(progress.found_inf, "No inf checks were recorded for this optimizer.")
        recording = current_recording()
        result = None
        if recording is not None:
            training = recording.training()
            with training.skipping(found_inf):
                result = optimizer.step(*args, **kwargs)
            training.last["loss_scale"] = scale.value
            training.last["found_inf"] = self._found_inf("step")
        elif not found_inf.data.item():
            result = optimizer.step(*args, **kwargs)
        progress.stage = _Stage.STEPPED
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale to what the steps since the last update found, or set it to ``new_scale``."""
        if not self._enabled:
            return
        scale, tracker = self._created("update")
        with grad_mode(False):
            if new_scale is not None:
                copy_(scale, _one_number(new_scale))
            else:
                tracker._cell.label = f"{self.label}.growth_tracker"
                updated = o.update_scale(
                    scale.value,
                    tracker.value,
                    self._found_inf("update"),
                    self._options.number("growth_factor"),
                    self._options.number("backoff_factor"),
                    interval=self._options["growth_interval"],
                )
                for tensor, value in zip((scale, tracker), updated):
                    tensor.write(value)
        progress = self._optimizers()
        progress.clear()
        if progress is self._progress:
            changes.tick()

    def _created(self, call: str) -> tuple[Tensor, Tensor]:
        fix = "This may indicate your script did not use scaler.scale(loss or outputs) earlier in the iteration."
        scale = _require(self._scale, f"Attempted {call} but _scale is None.  {fix}")
        return scale, _require(self._growth_tracker, f"Attempted {call} but _growth_tracker is None.  {fix}")

    def _optimizers(self) -> dict[int, _Progress]:
        """Progress by ``id(optimizer)``. A recording has its own, so that one that fails leaves nothing behind."""
        recording = current_recording()
        if recording is None:
            return self._progress
        if recording not in self._recorded:
            if self._progress:
                raise self._half_done("begins behind")
            recording.host.checks.append(partial(self._refuse_half_done, recording))
        return self._recorded.setdefault(recording, {})

    def _refuse_half_done(self, recording: Trace) -> None:
        if self._recorded[recording]:
            raise self._half_done("ends between")

    def _half_done(self, how: str) -> TraceError:
        return TraceError(
            f"a compiled step {how} {self.label}.unscale_() or step() and update(), which belong together\n"
            f"  at {user_location()}\n  call them in one compiled step, or all of them outside"
        )

    def _of(self, optimizer: Optimizer) -> _Progress:
        progress = self._optimizers()
        found = progress.setdefault(id(optimizer), _Progress())
        if progress is self._progress:
            changes.tick()
        return found

    def _found_inf(self, call: str) -> Value:
        """Whether any optimizer found one, f32[]."""
        found = [p.found_inf for p in self._optimizers().values() if p.found_inf is not None]
        combined = _require(found, f"No inf checks were recorded prior to {call}.")[0]
        for other in found[1:]:
            combined = o.maximum(combined, other)
        return combined

    # Its settings

    def get_scale(self) -> float:
        """The scale now; 1.0 when disabled. In a step that is being compiled a tensor, f64[]."""
        if not self._enabled:
            return 1.0
        if self._scale is not None and current_recording() is not None:
            return wrap(as_f64(self._scale))  # type: ignore[return-value]
        return self._init_scale if self._scale is None else self._scale.item()

    def _get_growth_tracker(self) -> int:
        """How many good steps in a row."""
        if not self._enabled:
            return 0
        return self._init_growth_tracker if self._growth_tracker is None else self._growth_tracker.item()

    def get_growth_factor(self) -> float:
        return self._options["growth_factor"]

    def set_growth_factor(self, new_factor: float) -> None:
        self._options["growth_factor"] = new_factor

    def get_backoff_factor(self) -> float:
        return self._options["backoff_factor"]

    def set_backoff_factor(self, new_factor: float) -> None:
        self._options["backoff_factor"] = new_factor

    def get_growth_interval(self) -> int:
        return self._options["growth_interval"]

    def set_growth_interval(self, new_interval: int) -> None:
        self._options["growth_interval"] = new_interval

    def is_enabled(self) -> bool:
        return self._enabled

    def structure(self) -> tuple[bool, int, bool]:
        """The settings that compiled steps have baked in."""
        return self._enabled, self._options.raw("growth_interval"), bool(self._progress)

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """Scale, factors, interval and growth tracker as plain numbers; empty when disabled. Save after ``update``."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(),
            **self._options,
            "_growth_tracker": self._get_growth_tracker(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; does nothing when disabled."""
        if not self._enabled:
            return
        if not state_dict:
            raise MisuseError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale, self._init_growth_tracker = state_dict["scale"], state_dict["_growth_tracker"]
        if self._scale is not None and self._growth_tracker is not None:
            fill_(self._scale, self._init_scale)
            fill_(self._growth_tracker, self._init_growth_tracker)
        for option in ("growth_factor", "backoff_factor", "growth_interval"):
            self._options[option] = state_dict[option]


def _require(found: Any, message: str) -> Any:
    """``found``, or AssertionError where there is nothing (None, False, empty)."""
    if found is None or found is False or found == []:
        raise InvariantError(message)
    return found


def _one_number(new_scale: Any) -> Any:
    if isinstance(new_scale, float) and not isinstance(new_scale, Tensor):
        return new_scale
    reason = "new_scale should be a float or a 1-element FloatTensor with requires_grad=False."
    _require(isinstance(new_scale, Tensor) and new_scale.numel() == 1 and not new_scale.requires_grad, reason)
    return reshape(new_scale, ())
