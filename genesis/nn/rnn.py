"""Recurrent layers: one loop over time per layer and direction. Formulas, gate order and names are PyTorch's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import sqrt
from typing import Any

import genesis.nn.functional as F
import genesis.nn.init as init
from compiler.errors import ArgumentError, ChoiceError, GenesisWarning, OpError
from compiler.ir.op import o
from genesis.functions.control import scan
from genesis.functions.creation import empty, zeros
from genesis.functions.pointwise import add, mul, relu, sigmoid, sub, tanh, where
from genesis.functions.shapes import cat, chunk, select, squeeze, stack, transpose, unsqueeze
from genesis.members import Parameter
from genesis.nn.module import Module
from genesis.nn.utils.rnn import PackedSequence
from genesis.tensor import Tensor, wrap

State = tuple[Tensor, ...]
"""The carried states, each ``[N, hidden_size]``; the first is the output, maybe ``[N, proj_size]``."""

Hidden = Callable[[Tensor], Tensor]
"""The projection of the hidden state."""


def _to(x: Tensor, state: Tensor) -> Tensor:
    """``x`` in the dtype of a state; autocast may have made it narrower."""
    return x if x.dtype is state.dtype else wrap(o.cast(x.value, to=state.dtype))


def _elman(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor, State, Hidden], State]:
    """Elman, "Finding structure in time", 1990."""

    def step(x: Tensor, state: State, hidden: Hidden) -> State:
        (h,) = state
        return (activation(_to(add(x, hidden(h)), h)),)

    return step


def _lstm(x: Tensor, state: State, hidden: Hidden) -> State:
    """Hochreiter and Schmidhuber, "Long short-term memory", 1997; gates in the order i, f, g, o."""
    h, c = state
    i, f, g, o = chunk(_to(add(x, hidden(h)), c), 4, dim=-1)
    c = add(mul(sigmoid(f), c), mul(sigmoid(i), tanh(g)))
    return mul(sigmoid(o), tanh(c)), c


def _gru(x: Tensor, state: State, hidden: Hidden) -> State:
    """Cho et al., 2014; gates in the order r, z, n, and the reset gate behind the projection."""
    (h,) = state
    xr, xz, xn = chunk(_to(x, h), 3, dim=-1)
    hr, hz, hn = chunk(_to(hidden(h), h), 3, dim=-1)
    n = tanh(add(xn, mul(sigmoid(add(xr, hr)), hn)))
    return (add(n, mul(sigmoid(add(xz, hz)), sub(h, n))),)


_STEPS = {"RNN_TANH": _elman(tanh), "RNN_RELU": _elman(relu), "LSTM": _lstm, "GRU": _gru}
_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}
_STATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 2, "GRU": 1}


def _mode(nonlinearity: str) -> str:
    mode = f"RNN_{nonlinearity.upper()}"
    if mode not in _STEPS:
        raise ChoiceError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
    return mode


class RNNBase(Module):
    """Layers over whole sequences."""

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size <= 0:
                raise ChoiceError(f"{name} must be greater than zero")
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ChoiceError(
                "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
            )
        if proj_size < 0:
            raise ChoiceError("proj_size should be a positive integer or zero to disable projections")
        if proj_size >= hidden_size:
            raise ChoiceError("proj_size has to be smaller than hidden_size")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                GenesisWarning,
                stacklevel=3,
            )
        self.mode = mode
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size = bidirectional, proj_size
        gates = _GATES[mode] * hidden_size
        for layer in range(num_layers):
            inputs = input_size if layer == 0 else self._output_size * self._directions
            for direction in range(self._directions):
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (gates, inputs),
                    "weight_hh": (gates, self._output_size),
                }
                if bias:
                    shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    parameter = Parameter(empty(*shape, dtype=dtype, device=device))
                    self.register_parameter(f"{name}{_suffix(layer, direction)}", parameter)
        self.reset_parameters()

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def reset_parameters(self) -> None:
        """Everything uniform within ``1 / sqrt(hidden_size)``."""
        for parameter in self.parameters():
            init.uniform_(parameter, -1 / sqrt(self.hidden_size), 1 / sqrt(self.hidden_size))

    def flatten_parameters(self) -> None:
        """Does nothing; PyTorch arranges memory for cuDNN here."""

    def _run(self, input: Any, state: State | None) -> tuple[Any, State]:
        """Outputs and last states ``[num_layers * directions, N, hidden_size]``; without N for unbatched input."""
        name = type(self).__name__
        packed = input if isinstance(input, PackedSequence) else None
        if packed is None and not isinstance(input, Tensor):
            raise ArgumentError(f"{name} takes a Tensor or a PackedSequence, not a {type(input).__name__}")
        x: Tensor = input if packed is None else packed._padded
        if packed is None and x.ndim not in (2, 3):
            raise ChoiceError(f"{name}: Expected input to be 2D or 3D, got {x.ndim}D instead")
        if x.shape[-1] != self.input_size:
            raise OpError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {x.shape[-1]}")
        batched = x.ndim == 3
        swap = batched and self.batch_first and packed is None
        x = transpose(x, 0, 1) if swap else x if batched else unsqueeze(x, 1)
        mask = None if packed is None else unsqueeze(packed._mask, -1)
        state = self._first_state(x, state, batched)
        lasts: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = F.dropout(x, self.dropout, self.training)
            outputs = []
            for direction in range(self._directions):
                row = layer * self._directions + direction
                last, output = self._layer(x, tuple([select(s, 0, row) for s in state]), layer, direction, mask)
                lasts.append(last)
                outputs.append(output)
            x = cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
        ends = tuple([stack(list(states)) for states in zip(*lasts, strict=True)])
        if packed is not None:
            return packed._with(x), ends
        if not batched:
            return squeeze(x, 1), tuple([squeeze(s, 1) for s in ends])
        return transpose(x, 0, 1) if swap else x, ends

    def _first_state(self, x: Tensor, state: State | None, batched: bool) -> State:
        sizes = (self._output_size, self.hidden_size)[: _STATES[self.mode]]
        shapes = [(self.num_layers * self._directions, x.shape[1], size) for size in sizes]
        if state is None:
            return tuple([zeros(*shape, dtype=x.dtype) for shape in shapes])
        state = state if batched else tuple([unsqueeze(s, 1) for s in state])
        for given, shape, what in zip(state, shapes, ("hidden[0]" if len(state) > 1 else "hidden", "hidden[1]")):
            if tuple(given.shape) != shape:
                raise OpError(f"Expected {what} size {shape}, got {list(given.shape)}")
        return state

    def _layer(self, x: Tensor, state: State, layer: int, direction: int, mask: Tensor | None) -> tuple[State, Tensor]:
        """The projection of all inputs at once, then the loop; where the mask is false, the state stays."""
        suffix = _suffix(layer, direction)
        weight = getattr(self, f"weight_hh{suffix}")
        bias, later = None, None
        if self.bias:
            bias, later = getattr(self, f"bias_ih{suffix}"), getattr(self, f"bias_hh{suffix}")
        if later is not None and self.mode != "GRU":
            bias, later = add(bias, later), None
        projected = F.linear(x, getattr(self, f"weight_ih{suffix}"), bias)
        shorter = getattr(self, f"weight_hr{suffix}") if self.proj_size else None
        step = _STEPS[self.mode]

        def advance(x: Tensor, state: State) -> State:
            h, *rest = step(x, state, lambda h: F.linear(h, weight, later))
            return (h if shorter is None else _to(F.linear(h, shorter), h), *rest)

        def turn(state: State, x: Tensor) -> tuple[State, Tensor]:
            state = advance(x, state)
            return state, state[0]

        def masked_turn(state: State, xs: tuple[Tensor, Tensor]) -> tuple[State, Tensor]:
            x, active = xs
            new = advance(x, state)
            kept = tuple([where(active, a, b) for a, b in zip(new, state, strict=True)])
            return kept, where(active, new[0], 0)

        if mask is None:
            return scan(turn, state, projected, reverse=bool(direction))
        return scan(masked_turn, state, (projected, mask), reverse=bool(direction))

    def extra_repr(self) -> str:
        shown = [f"{self.input_size}, {self.hidden_size}"]
        if self.proj_size:
            shown.append(f"proj_size={self.proj_size}")
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        shown += [f"{k}={getattr(self, k)}" for k, default in defaults.items() if getattr(self, k) != default]
        return ", ".join(shown)


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}{'_reverse' if direction else ''}"


class RNN(RNNBase):
    """Elman network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or ``relu`` by ``nonlinearity``.

    ``[T, N, input_size]`` (``[N, T, ...]`` with ``batch_first``, ``[T, ...]`` unbatched) and the first hidden state
    ``[num_layers * directions, N, hidden_size]``, zeros if not given, to ``[T, N, directions * hidden_size]`` and the
    last hidden state. A ``PackedSequence`` gives a ``PackedSequence``, and each sequence's own last state.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        mode = _mode(nonlinearity)
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class LSTM(RNNBase):
    """Long short-term memory; gates i, f, g, o in the rows of the weights.

    As :class:`RNN`, with a pair ``(h, c)`` of states. ``dropout`` acts on what goes from a layer to the next.
    ``proj_size``: each ``h`` is projected to so many numbers, also in the output (Sak et al., "Long short-term memory
    based recurrent neural network architectures for large vocabulary speech recognition", 2014).
    Under autocast the products run in 16 bits, states and outputs keep the dtype of the input.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Any, tuple[Tensor, Tensor]]:
        output, (h, c) = self._run(input, hx)
        return output, (h, c)


class GRU(RNNBase):
    """Gated recurrent unit; gates r, z, n in the rows of the weights. Arguments and shapes as :class:`RNN`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ChoiceError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def forward(self, input: Any, hx: Tensor | None = None) -> tuple[Any, Tensor]:
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class RNNCellBase(Module):
    """One step of a layer."""

    def __init__(self, mode: str, input_size: int, hidden_size: int, bias: bool, device: Any, dtype: Any) -> None:
        super().__init__()
        self.mode = mode
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        gates = _GATES[mode] * hidden_size
        self.weight_ih = Parameter(empty(gates, input_size, dtype=dtype, device=device))
        self.weight_hh = Parameter(empty(gates, hidden_size, dtype=dtype, device=device))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(gates, dtype=dtype, device=device)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Everything uniform within ``1 / sqrt(hidden_size)``."""
        for parameter in self.parameters():
            init.uniform_(parameter, -1 / sqrt(self.hidden_size), 1 / sqrt(self.hidden_size))

    def _run(self, input: Tensor, state: State | None) -> State:
        name = type(self).__name__
        if input.ndim not in (1, 2):
            raise ChoiceError(f"{name}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        batched = input.ndim == 2
        x = input if batched else unsqueeze(input, 0)
        if state is None:
            state = tuple([zeros(x.shape[0], self.hidden_size, dtype=x.dtype) for _ in range(_STATES[self.mode])])
        elif not batched:
            state = tuple([unsqueeze(s, 0) for s in state])
        projected = F.linear(x, self.weight_ih, self.bias_ih)
        state = _STEPS[self.mode](projected, state, lambda h: F.linear(h, self.weight_hh, self.bias_hh))
        return state if batched else tuple([squeeze(s, 0) for s in state])

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of :class:`RNN`: ``[N, input_size]`` and ``[N, hidden_size]`` to the next hidden state."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(_mode(nonlinearity), input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        (h,) = self._run(input, None if hx is None else (hx,))
        return h


class LSTMCell(RNNCellBase):
    """One step of :class:`LSTM`: ``[N, input_size]`` and a pair of ``[N, hidden_size]`` to the next ``(h, c)``."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__("LSTM", input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        h, c = self._run(input, hx)
        return h, c


class GRUCell(RNNCellBase):
    """One step of :class:`GRU`: ``[N, input_size]`` and ``[N, hidden_size]`` to the next hidden state."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__("GRU", input_size, hidden_size, bias, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        (h,) = self._run(input, None if hx is None else (hx,))
        return h
