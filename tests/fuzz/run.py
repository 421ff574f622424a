"""Runs programs in several ways and compares what they compute."""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import genesis
from tests.fuzz.program import Program, text

WAYS = ("eager", "compiled", "interpreted", "torch")

TOLERANCE = {"float32": 2e-4, "float64": 1e-8, "halves": 4e-2}
"""A part of the largest element of a result, where errors are not amplified."""

LACKING = (
    "could not create a primitive",
    "not implemented for 'Half'",
    "not implemented for 'BFloat16'",
    "grad_input must be contiguous",
)
"""What PyTorch says of a program that it has no kernel for: in 16 bits, on this processor, for these strides."""

REFUSED = "accumulate="
"""Part of the error about a step that cannot run in micro-batches."""

AMPLIFIED = 40.0
"""How often more than its inputs a program's results may be disturbed, for a difference to mean something."""

DISTURBANCES = 4
"""Draws of noise, each number by itself: a sign next to a jump turns in some of them only."""


@dataclass
class Trace:
    """The results of each call and the parameters after the last one, or the error that came instead."""

    arrays: list[np.ndarray] = field(default_factory=list)
    error: BaseException | None = None


@dataclass(frozen=True)
class Finding:
    """Two ways that differ on a program: ``what`` says how. ``ways`` is empty where that means nothing."""

    program: Program
    ways: tuple[str, ...]
    what: str


class Instance:
    """A program brought to life in one library. ``disturb``: relative noise on each number it starts from."""

    def __init__(self, program: Program, library: str = "genesis", disturb: float = 0.0, seed: int = 0) -> None:
        source, name = text(program, library, main=False), f"<program {program.seed}, {library}>"
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        self.program = program
        self.space: dict[str, Any] = {"__name__": f"program{program.seed}"}
        exec(compile(source, name, "exec"), self.space)
        self.trace = Trace()
        self.disturb = disturb
        self.rng = np.random.default_rng(seed)
        if disturb:
            for p in self.space["parameters"]:
                p.data = self.disturbed(p.data)

    def batch(self, call: int) -> list[Any]:
        batch = self.space["batch"](call)
        return [self.disturbed(x) if self.disturb and "float" in str(getattr(x, "dtype", "")) else x for x in batch]

    def disturbed(self, x: Any) -> Any:
        noise = self.disturb * self.rng.uniform(-1, 1, tuple(x.shape))
        return x * genesis.tensor(1 + noise).to(x.dtype)

    def keep(self, results: Sequence[Any], batch: Sequence[Any]) -> None:
        """Take down the results of a call, and its arguments as it left them."""
        self.space["after"]()
        self.trace.arrays += [array(r) for r in (*results, *batch) if hasattr(r, "detach")]

    def finish(self) -> Trace:
        self.trace.arrays += [array(p) for p in self.space["parameters"]]
        return self.trace

    def run(self, wrapped: Callable[[Any], Any] = lambda step: step) -> Trace:
        """All calls of the step in turn."""
        step = wrapped(self.space["step"])
        try:
            for call in range(self.program.calls):
                batch = self.batch(call)
                self.keep(step(*batch), batch)
            return self.finish()
        except Exception as error:
            self.trace.error = error
            return self.trace


def array(x: Any) -> np.ndarray:
    """A copy in f64."""
    return np.array(x.detach().double().numpy())


BACKENDS = {"compiled": "auto", "interpreted": "interpret"}


def compiled(step: Callable[..., Any], program: Program, way: str) -> Callable[..., Any]:
    """``step`` compiled as the program wants it."""
    return genesis.compile(step, backend=BACKENDS[way], accumulate=program.accumulate)


def refuses(program: Program) -> bool:
    """Whether the program cannot run in its micro-batches, and says so."""
    return program.accumulate > 1 and REFUSED in str(trace(replace(program, calls=1), "interpreted").error)


def together(programs: Sequence[Program], way: str) -> dict[int, Trace] | Exception:
    """The traces of several programs that run as parts of one step, by seed; the error where one of them raises.

    Parts that draw random numbers draw in turn, so only traces of the same programs together can be compared.
    All are cut into as many micro-batches.
    """
    genesis.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            instances = [Instance(p) for p in programs]
            steps = [i.space["step"] for i in instances]

            def all_steps(batches: list[list[Any]]) -> list[Any]:
                return [step(*batch) for step, batch in zip(steps, batches, strict=True)]

            run = compiled(all_steps, programs[0], way) if way in BACKENDS else all_steps
            for call in range(max(p.calls for p in programs)):
                batches = [i.batch(call) for i in instances]
                for instance, results, batch in zip(instances, run(batches), batches, strict=True):
                    instance.keep(results, batch)
            return {i.program.seed: i.finish() for i in instances}
        except Exception as error:
            return error


def trace(program: Program, way: str, disturb: float = 0.0, seed: int = 0) -> Trace:
    """The program run in one of :data:`WAYS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if way == "torch":
                return Instance(program, "torch").run()
            genesis.manual_seed(0)
            instance = Instance(program, disturb=disturb, seed=seed)
        except Exception as error:
            return Trace(error=error)
        if way in BACKENDS:
            return instance.run(lambda step: compiled(step, program, way))
        return instance.run()


def compare(program: Program, a: Trace, b: Trace) -> str:
    """How two traces differ; empty where they agree."""
    if a.error is not None or b.error is not None:
        if isinstance(a.error, type(b.error)) or isinstance(b.error, type(a.error)):
            return ""  # a GenesisError is what PyTorch raises, too
        return f"{_said(a)}; {_said(b)}"
    tolerance = TOLERANCE["halves" if program.halves else program.dtype]
    for k, (x, y) in enumerate(zip(a.arrays, b.arrays, strict=True)):
        if x.shape != y.shape:
            return f"result {k}: shapes {x.shape} and {y.shape}"
        if not np.array_equal(np.isfinite(x), np.isfinite(y)):
            return f"result {k}: not finite at other places"
        error, scale = _error(x, y)
        if error > tolerance * max(scale, 0.1 if program.halves else 1e-3):  # small ones are sums of larger 16-bit ones
            return f"result {k}: differs by {error:.3g} where the largest is {scale:.3g}"
    return ""


def _said(trace: Trace) -> str:
    return "no error" if trace.error is None else f"{type(trace.error).__name__}: {trace.error}"


def _error(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The largest difference of finite elements, and the largest of them."""
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        return 0.0, 0.0
    return float(np.abs(x - y)[finite].max()), float(np.abs(y[finite]).max())


def steady(program: Program) -> bool:
    """Whether results do not hang on the last places of the inputs, as they do next to a jump or in a cancellation."""
    noise = 1e-3 if program.halves else 4 * float(np.finfo(program.dtype).eps)
    base = trace(program, "eager")
    for seed in range(DISTURBANCES):
        moved = trace(program, "eager", noise, seed)
        if base.error is not None or moved.error is not None:
            return True
        for x, y in zip(base.arrays, moved.arrays, strict=True):
            error, scale = _error(x, y)
            if not np.array_equal(np.isfinite(x), np.isfinite(y)) or error > AMPLIFIED * noise * max(scale, 1e-3):
                return False
    return True


def differences(program: Program, ways: Sequence[str], given: dict[str, Trace] | None = None) -> Finding | None:
    """The first way that differs from eager mode on a :func:`steady` program. ``given`` are traces already made."""
    traces = dict(given or {})
    eager = traces.get("eager") or trace(program, "eager")
    for way in ways:
        if way == "eager" or (way == "torch" and (program.random or program.overflows or program.scale_free)):
            continue
        other = traces.get(way) or trace(program, way)
        if way == "torch" and any(said in str(other.error) for said in LACKING):
            continue
        what = compare(program, other, eager)
        if what:
            return Finding(program, (way, "eager"), what) if steady(program) else Finding(program, (), what)
    return None
