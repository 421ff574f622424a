"""Pieces of eager work, done by NumPy until there is a native program for them.

Work that takes NumPy long (a composite, the gradient of an op, a convolution, a loop, an optimizer) is a piece.
From its third run on, a background thread builds a program for it, which the cache keeps for other processes; until it
is there NumPy goes on, so nothing ever waits. The results of both differ by rounding.

Environment: ``GENESIS_EAGER``: ``auto`` (the default), ``numpy`` (no programs), ``native`` (wait for a program at the
first run of a piece: every run of a script then gives the same numbers).
"""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from weakref import WeakSet, finalize

import numpy as np

from compiler.errors import ChoiceError, DivisionError, GenesisWarning
from compiler.ir.graph import Graph
from compiler.ir.op import Op
from compiler.ir.types import Shape, TensorType, f64
from compiler.ops.elementwise import POWER
from compiler.tape import Tape
from compiler.text.printer import print_graph
from genesis.compiled import Compiled
from genesis.eager.blocks import block_of, in_blocks
from genesis.eager.rows import Rows, rows_between
from genesis.options import Options
from runtime.devices.cpu import CpuDevice
from runtime.executor import Arenas, Executor
from runtime.toolchain import find_compiler

RUNS = 2
"""After how many runs a program is asked for."""

SHAPES = 24
"""Shapes of the operands of one op that get a program each: a text that grows gives new ones at every token.

Behind that, elementwise pieces share one program for all shapes.
"""

ALIKE = 3
"""Of these, how many may differ in the number of rows only. Behind that, some programs serve all."""

COSTLY = 1 << 12
"""From how many elements on a function such as erf takes NumPy long."""

FACTOR = 1 << 10
"""From how many elements of each factor on a program multiplies faster than BLAS, which is slow to transpose one.

It multiplies matrices of f64 in plain loops: there BLAS is the faster one, by far.
"""

CALLS, LARGE = 3, 1 << 14
"""From how many NumPy calls on a program is worth building; one less for tensors of so many elements."""


class Repeatable:
    """Whether every run of a script is to give the same numbers, ``use_deterministic_algorithms``."""

    wanted = False


def mode() -> str:
    """``GENESIS_EAGER``. Raises ChoiceError for a text that it does not know.

    In place of ``auto``, where :class:`Repeatable` results are wanted: ``native``.
    """
    text = os.environ.get("GENESIS_EAGER") or "auto"
    if text not in ("auto", "numpy", "native"):
        raise ChoiceError(f"GENESIS_EAGER={text!r}; it is auto, numpy or native")
    return "native" if text == "auto" and Repeatable.wanted else text


def is_slow(op: Op, types: Sequence[TensorType]) -> bool:
    """Whether NumPy takes long for the one op: products, draws, what moves windows, long series, functions of many."""
    product = op.anchor == "contract" or op.kind == "composite"
    if product and any(t.dtype.is_half for t in types):
        return True
    if _multiplies_many(op, types):
        return types[0].dtype is not f64
    costly = op.cost >= POWER and max((t.size for t in types), default=0) >= COSTLY
    return costly or op.anchor not in (None, "contract", "concat") or op.reads == "window" or op.kind == "random"


def _multiplies_many(op: Op, types: Sequence[TensorType]) -> bool:
    """Whether the op is a product of large matrices."""
    factors = [t.size for t in types if t.rank > 1] if op.autocast.get("cpu") == "lower" else []
    return bool(factors) and min(factors) > FACTOR


Program = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]


class Piece:
    """``graph``, a function of arrays without states. ``family``: the part common to graphs of other shapes.

    ``is_shared``: other pieces run by it.
    It may run in several threads at once.
    """

    def __init__(self, graph: Graph, family: str, is_shared: bool = False) -> None:
        self.graph, self.family, self.is_shared = graph, family, is_shared
        self.tape = Tape(graph)
        self._runs = 0
        self._lock = threading.Lock()
        self._executor: Executor | None = None
        inputs = {v: i for i, v in enumerate(graph.inputs())}
        self._computed = [v for v in dict.fromkeys(graph.outputs) if v not in inputs]
        made = {v: i for i, v in enumerate(self._computed)}
        self._results = [(v in inputs, inputs[v] if v in inputs else made[v]) for v in graph.outputs]
        self._direct = self._computed == graph.outputs
        self._is_worth = self._computes_enough()
        self.shapes = [v.shape for v in graph.inputs()]
        self._instead: Program | None = None
        _PIECES.add(self)

    def _computes_enough(self) -> bool:
        """Whether a program would gain anything. One without elements would not, one that BLAS outruns would lose."""
        sizes = [v.type.size for v in (*self.graph.inputs(), *self.graph.outputs)]
        if not self._computed or not all(sizes):
            return False
        nodes = [(node.op, [v.type for v in node.inputs]) for node in self.tape.computes()]
        if any(_multiplies_many(op, types) and types[0].dtype is f64 for op, types in nodes):
            return False
        calls = sum(CALLS if is_slow(op, types) else 1 for op, types in nodes)
        return calls + (max(sizes) >= LARGE) >= CALLS

    def __call__(self, arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """The results for one array per input: in memory of their own, or an input or what shows one."""
        if self._executor is None and self._is_worth:
            _WORKSHOP.say()
            run = self._runs + 1
            if run in (1, RUNS + 1):
                _WORKSHOP.consider(self, run)
            self._runs = run  # which an interrupted build is none of
        executor = self._executor
        if executor is None:
            if self._instead is None:
                return self.tape(arrays)
            try:
                return self._instead(arrays)
            except (DivisionError, IndexError):  # the element is counted in other shapes
                return self.tape(arrays)
        with self._lock:
            try:
                results = executor.run(arrays, ())
            except (DivisionError, IndexError):  # NumPy says it in the words of an eager call
                return self.tape(arrays)
            finally:
                executor.release()
        return results if self._direct else [arrays[i] if given else results[i] for given, i in self._results]

    def build(self) -> None:
        """Have a program from now on. Raises GenesisError where it cannot be built."""
        graph = Graph(self.graph.name, self.graph.params, self.graph.nodes, [], self._computed)
        executor = Compiled(graph, Options(backend="c")).start()
        assert isinstance(executor, Executor)
        executor.share(_ARENAS)
        self._executor = executor

    def run_in_blocks(self) -> None:
        """Let one program serve this shape and others, where the piece is elementwise."""
        block = block_of(self.tape.graph)
        if block is not None:
            types = [v.type for v in self.graph.outputs]
            shared = _shared(block, f"{self.family} in blocks")
            self._instead = lambda arrays: in_blocks(shared, arrays, types)

    def run_in_rows(self, others: Sequence[Sequence[Shape]]) -> bool:
        """Let one program serve this number of rows and those close to it; whether it can, and ``others`` are many."""
        alike = Counter(rows_between(self.shapes, shapes) for shapes in others)
        axes = next((axes for axes, count in alike.items() if axes is not None and count >= ALIKE), None)
        rows = None if axes is None else Rows(self.graph, self.tape.graph, axes)
        if rows is None or rows.graph is None:
            return False
        self._instead = partial(rows.run, _shared(rows.graph, f"{self.family} in rows"))
        return True

    @property
    def is_native(self) -> bool:
        """Whether there is a program."""
        return self._executor is not None

    def forget_threads(self) -> None:
        """Be free in the child of a fork, where the thread that was inside is not."""
        self._lock = threading.Lock()


class _Workshop:
    """Builds programs, one after the other, in a thread that starts with the first order."""

    def __init__(self) -> None:
        self._shapes: defaultdict[str, list[Sequence[Shape]]] = defaultdict(list)
        self._closed = self._has_failed = False
        self._said: Warning | None = None
        self.forget_threads()

    def forget_threads(self) -> None:
        """Have no thread and no orders, as in the child of a fork."""
        self._orders: SimpleQueue[Piece] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._at_work = threading.Lock()

    def consider(self, piece: Piece, run: int) -> None:
        """Build a program before the first run, or order one behind the second, as ``GENESIS_EAGER`` says."""
        how = mode()
        if self._closed or how == "numpy" or (how == "native") is not (run == 1):
            return
        shapes = self._shapes[piece.family]
        if not piece.is_shared and piece.run_in_rows(shapes):
            return
        if len(shapes) >= SHAPES:
            piece.run_in_blocks()
            return
        shapes.append(piece.shapes)
        if how == "native":
            self._build(piece)
            return
        self._orders.put(piece)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="genesis-eager", daemon=True)
            self._thread.start()

    def say(self) -> None:
        """Raise what the thread had to warn of, where a filter makes errors of warnings."""
        if self._said is not None:
            error, self._said = self._said, None
            raise error

    def _work(self) -> None:
        while not self._closed:
            piece = self._orders.get()
            with self._at_work:
                try:
                    self._build(piece)
                except Warning as error:  # which a filter made of a warning
                    self._said = error

    def _build(self, piece: Piece) -> None:
        try:
            if find_compiler() is None:
                self._closed = True
            else:
                piece.build()
        except Exception as error:  # whatever it is, NumPy computes the same
            if not (self._closed or self._has_failed or "shutdown" in str(error)):
                self._has_failed = True
                warnings.warn(
                    f"an eager op stays in NumPy, since no program can be built for it: {piece.family}\n"
                    f"  {type(error).__name__}: {error}",
                    GenesisWarning,
                    stacklevel=2,
                )

    def close(self) -> None:
        """Build nothing more; return when the program being built is there, so that no unfinished files stay."""
        self._closed = True
        if self._at_work.acquire(timeout=10):
            self._at_work.release()


_ARENAS = Arenas(CpuDevice())
_PIECES: WeakSet[Piece] = WeakSet()
_SHARED: dict[str, Piece] = {}
"""Pieces for a block, or for more rows, by their text; for all threads."""


def _shared(graph: Graph, family: str) -> Piece:
    key = print_graph(graph, located=False)
    return _SHARED.get(key) or _SHARED.setdefault(key, Piece(graph, family, True))


_WORKSHOP = _Workshop()
finalize(_WORKSHOP, int)  # registers what removes temporary folders at the end, which then comes after:
atexit.register(_WORKSHOP.close)


def _in_child() -> None:
    _WORKSHOP.forget_threads()
    for piece in _PIECES:
        piece.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
