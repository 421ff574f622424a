"""How a compiled function is looked at: guards, graphs, generated code, profile, memory, the folder of all of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from threading import RLock
from time import perf_counter
from typing import Any

import genesis.step.ledger as ledger
from compiler.casts import decisions
from compiler.errors import ChoiceError, KeyedError, TraceError
from compiler.ir.graph import Graph
from compiler.plan import Plan
from genesis.capture.guards.reachable import Reachable
from genesis.capture.guards.recompiles import Recompiles
from genesis.capture.guards.report import shown
from genesis.step.amp_report import AmpReport
from genesis.step.execution import Last, Memory, Program
from genesis.step.standalone import export
from genesis.tables import Table
from runtime.profile import Profile


class Inspected:
    """Questions to a compiled function; ``_program`` ran its last call, which most answers are about."""

    function: Callable[..., Any]
    _program: Program | None
    _recompiles: Recompiles
    _lock: RLock

    def _known(self) -> Collection[Program]:
        """All programs that the function keeps."""
        raise NotImplementedError

    def _exchange(self, old: Program, new: Program) -> None:
        """Keep ``new`` in the place of ``old``."""
        raise NotImplementedError

    def _reachable(self) -> Reachable:
        """The objects that the function reached at its last call."""
        raise NotImplementedError

    def _latest(self) -> Program:
        if self._program is None:
            raise TraceError(f"{self.function.__qualname__} has not been called yet; call it once, then look")
        return self._program

    def __repr__(self) -> str:
        name, program = getattr(self.function, "__qualname__", repr(self.function)), self._program
        if program is None:
            return f"<compiled {name}: not called yet>"
        count = len(self._known())
        inputs = ", ".join(str(v.type) for v in program.traced.stages.latest.inputs("input"))
        target = program.plan.target if program.plan is not None else "the interpreter"
        return (
            f"<compiled {name}: {count} program{'' if count == 1 else 's'}, the last for ({inputs}) on {target}, "
            f"compiled in {program.seconds:.2f} s>"
        )

    def guards(self) -> Table:
        """The comparisons of a call with the last one: name, value, and the line that made it necessary; print it.

        Argument types and values, grad mode and autocast region, the modules, optimizers and scalers that the step
        reaches, and every global, closure variable, attribute and container that its code mentions.
        """
        signature, reachable = self._latest().signature, self._reachable()
        rows = [(name, shown(key), str(reachable.place_of(name) or "")) for name, key in signature.items()]
        return Table(("guard", "value", "needed by"), rows)

    def explain_recompiles(self) -> Table:
        """Why the function was compiled more than once: what changed, how often, and how to avoid it; print it."""
        return self._recompiles.table()

    @property
    def last(self) -> Last:
        """The outcome of the last call; see :class:`Last`."""
        return self._latest().last()

    def profile(self, n: int = 20) -> Profile:
        """Measure where the time of the step goes, per kernel, module and source line; ``print`` what it returns.

        Runs the last call's program ``n`` times on its arguments, in a form that takes the time of every kernel.
        Parameters, moments, random numbers and everything else the step changes are put back to what they were.
        """
        if n < 1:
            raise ChoiceError(f"profile({n}): the number of runs must be 1 or more")
        with self._lock:
            return self._latest().profile(n)

    @property
    def plan(self) -> Plan | None:
        """The plan of the last program; None when the interpreter runs it."""
        return self._latest().plan

    def memory(self) -> Memory:
        """The memory of the last call's program, in bytes; see :class:`Memory`."""
        return self._latest().memory()

    def graph(self, stage: str = "traced") -> Graph:
        """The graph of the last call's program: "traced", after a pass by name, or "fused" after the last."""
        stages = self._latest().stages()
        if stage == "fused":
            return stages.latest
        if stage not in stages.graphs:
            raise KeyedError(f"no stage {stage!r}; there are: {', '.join(stages.graphs)}, fused")
        return stages.graphs[stage]

    def source(self, language: str = "c") -> str:
        """The generated text of the last call's program: "c" or "triton"."""
        return self._latest().source(language)

    def explain_amp(self) -> AmpReport:
        """The decisions of autocast in the last call's program, as records and, printed, as a table.

        For every op that computes on floats: the rule that fired, the types of its operands, in which it runs and of
        its results, and each cast it needed: inserted, merged with another or removed again, and why. The rules are
        PyTorch's autocast lists.
        """
        program = self._latest()
        return AmpReport(program.traced.stages.latest.name, decisions(program.stages().graphs))

    def replace(self, what: Graph | str | Path, after: str | None = None) -> None:
        """Run an edited step in place of the last call's program, with the same states, from the next call on.

        what: a graph (``step.graph(stage)``, :func:`genesis.load_graph`), a ``.gir`` file of one, or a file of
            generated code: ``.c``, or ``.py`` for a step on a GPU.
        after: the pass whose result the graph is: only later passes run. Without it a graph of kernels is compiled as
            it is, and any other goes through all passes, which leave finished work alone.

        The graph must have the inputs, updates and results of the step. Edited code must keep the entry point and the
        order of its arguments; nothing checks what it computes. A call that is compiled again, for another shape say,
        is not edited. Raises ParseError for a text that is no graph, VerifyError for a graph that is not sound,
        ChoiceError for one that does not fit, CompileError for code that does not compile; the step then stays as it
        was.
        """
        with self._lock:
            old = self._latest()
            start = perf_counter()
            new = old.edited(what, after)
            new.seconds = perf_counter() - start
            self._exchange(old, new)
            old.release()

    def export(self, directory: str | Path, language: str = "c", batches: Iterable[Sequence[Any]] = ()) -> list[Path]:
        """Write the last call's program as code that runs without Python and Genesis; returns the files.

        language: "c" writes ``step.c`` and ``step.h``, a ``main.c`` that trains, threads, and a Makefile; ``make &&
            ./step`` goes on where the step stands, with the same results, bit for bit. "triton" writes a module of the
            kernels and ``launches.json``: buffers, grids and arguments in the order of the launches.
        batches: the arguments of the calls to be made, by default the last call's.

        States, hyper-parameters (as they were in the last call) and inputs are written beside the code as raw numbers.
        A function without a backward pass exports as well. Raises UnsupportedError for a forward function whose
        results carry gradients, ChoiceError for another language.
        """
        return export(self._latest(), Path(directory), language, batches)

    def dump(self, directory: str | Path) -> list[Path]:
        """Write what the compiler did to the last call's program into ``directory``; returns the files.

        ``SUMMARY.txt`` is to be read first: what was compiled and why, what each pass did, which kernels run. Per stage
        there is the IR, and a unified diff to the stage before; then the generated code. With ``GENESIS_DUMP=dir`` in
        the environment every program writes these files when it is compiled, into ``dir/<function>/<number>``.
        """
        return ledger.write(self._latest(), Path(directory))
