"""The part of a step outside its graph: it reads numbers, runs Python before and after the launch, in program order.

While a step is recorded, :class:`HostRecord` takes down the numbers that the step reads, each a run-time scalar (f64[])
of the graph, and its *acts*: changes of hyper-parameters and calls of schedules. An act really happens during the
recording, so that what follows sees it, and is taken back at the end. :class:`HostProgram` repeats all this in every
call: reads and acts in program order, then the launch, then the acts that need a result of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np

from compiler.errors import TraceError
from compiler.interpret import Evaluator, run
from compiler.ir.ambient import using
from compiler.ir.graph import Graph, Node, Param, Value
from compiler.ir.location import Loc, user_location
from compiler.ir.types import TensorType, f64
from genesis.memory.clock import Clock
from genesis.memory.values import TensorValue, concrete

Read = Callable[[], Any]
"""Finds a number: int, float, or whatever ``float`` takes."""
Undo = Callable[[], None]
Numbers = Sequence[float]
Act = Callable[[Numbers], Undo]
"""Changes something on the host, given the scalars read so far; returns how to take it back."""
LateAct = Callable[[Sequence[np.ndarray]], None]
"""Changes something on the host after the launch, given the results that the host asked for."""

_SCALAR = TensorType(f64, ())


class Holder(Protocol):
    """An object with hyper-parameters: a group of an optimizer, the state of a parameter, a schedule."""

    def structure(self, asked: Collection[Hashable]) -> Any:
        """The values that programs have baked in that looked at the keys ``asked``."""


class OtherDecision(Exception):
    """Python decides otherwise in this call than when the program was recorded; nothing has happened yet."""


class HostValue:
    """A value that is computed from run-time scalars alone, so that the host can know it before the launch."""

    def __init__(self, value: Value, scalars: dict[Value, int]) -> None:
        """Raises LookupError where ``value`` depends on anything but ``scalars``, given with their positions."""
        self._value = value
        self._nodes: dict[Node, None] = {}
        self._scalars: dict[Value, int] = {}
        self._collect(value, scalars)
        self._graph = Graph("host", nodes=list(self._nodes))
        for scalar in self._scalars:
            self._graph.params.append(Param(scalar, "scalar"))

    def _collect(self, value: Value, scalars: dict[Value, int]) -> None:
        if value in scalars:
            self._scalars[value] = scalars[value]
            return
        node = value.producer
        if node is None or node.body is not None or node.op.name.startswith("random"):
            raise LookupError(value)
        if node not in self._nodes:
            for operand in node.inputs:
                self._collect(operand, scalars)
            self._nodes[node] = None

    def inputs(self, numbers: Numbers) -> list[float]:
        """The scalars that it is computed from."""
        return [numbers[i] for i in self._scalars.values()]

    def __call__(self, numbers: Numbers) -> Any:
        """The value as a Python number."""
        given = [concrete(np.array(n, np.float64), _SCALAR) for n in self.inputs(numbers)]
        with using(Evaluator()):
            return run(self._graph, given)[self._value].data.item()


class Decision:
    """A branch that Python took on a :class:`HostValue`; a program is right for calls that take the same."""

    def __init__(self, value: HostValue, numbers: Numbers) -> None:
        self.value = value
        self.place = user_location()
        self.inputs = value.inputs(numbers)
        self.taken = bool(value(numbers))

    def check(self, numbers: Numbers) -> None:
        """Raises :class:`OtherDecision` where the branch goes the other way."""
        inputs = self.value.inputs(numbers)
        if inputs == self.inputs:
            return
        if bool(self.value(numbers)) is not self.taken:
            raise OtherDecision
        self.inputs = inputs


class HostRecord:
    """The host side of one recording.

    Attributes:
        graph: gets a parameter of kind "scalar" for every number read.
        numbers: what the scalars of the graph are in the call that is recorded, in the order of its parameters.
        before: what every call does before the launch, in program order.
        after: what it does after the launch.
        results: the values that ``after`` is given.
        holders: those that were read or written, with the keys that the step looked at.
        checks: run at the end of the recording; raise where it leaves something half done.
        pending: what was set to a value of the graph, and how to plan that the host gets it after the launch.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.scalars: dict[Value, int] = {}
        self.numbers: list[float] = []
        self.before: list[tuple[Read, None] | tuple[None, Act]] = []
        self.after: list[LateAct] = []
        self.results: list[Value] = []
        self.decisions: dict[Value, Decision] = {}
        self.holders: dict[int, tuple[Holder, set[Hashable]]] = {}
        self.pending: dict[tuple[int, Hashable], Callable[[], None]] = {}
        self.skips: list[tuple[int, int, int]] = []
        self.checks: list[Callable[[], None]] = []
        self._acted: list[Holder] = []
        self._condition: int | None = None
        self._reads: dict[Hashable, Value] = {}
        self._undo: list[Undo] = []
        self._acts: dict[int, int] = {}
        self._known: dict[int, set[Hashable]] = {}
        self._late: dict[int, Loc] = {}

    # Numbers

    def argument(self, value: Value, number: float) -> None:
        """``value`` is a scalar of the graph that the caller gives: ``number`` in the call that is recorded."""
        value.number = True
        self.scalars[value] = len(self.numbers)
        self.numbers.append(number)

    def option(self, value: Value, number: float) -> None:
        """``value`` is a scalar of the graph that is ``number`` in every call."""
        self.argument(value, number)
        self.before.append((lambda: number, None))

    def scalar(self, holder: Holder, key: Hashable, label: str, read: Read) -> Value:
        """The number that ``read`` finds at this place of the program in every call, f64[].

        ``holder`` and ``key`` say which number that is: one read again before an act changes its holder is the same.
        """
        place = id(holder), key, self._acts.get(id(holder), 0)
        found = self._reads.get(place)
        if found is None:
            found = self._reads[place] = self.graph.add_input(TensorValue(_SCALAR, label), "scalar", label)
            self.argument(found, float(read()))
            self.before.append((read, None))
        return found

    def is_known(self, holder: Holder, key: Hashable) -> bool:
        """Whether the step itself set ``key`` to a plain value, which is the same in every call."""
        return key in self._known.get(id(holder), ())

    def host_value(self, value: Value) -> HostValue | None:
        """How the host computes ``value``; None where that takes more than run-time scalars."""
        try:
            return HostValue(value, self.scalars)
        except LookupError:
            return None

    def decide(self, value: Value) -> bool | None:
        """The truth of ``value`` where the host can know it; programs are then guarded by the branch taken."""
        found = self.decisions.get(value)
        if found is None:
            computed = self.host_value(value)
            if computed is None:
                return None
            found = self.decisions[value] = Decision(computed, self.numbers)
        return found.taken

    # Changes

    def look(self, holder: Holder, key: Hashable) -> None:
        """The step looks at ``key`` of ``holder``, or whether it is there."""
        self._asked(holder).add(key)

    def refuse_late(self, holder: Holder, key: Hashable) -> None:
        """Raise TraceError where ``key`` of ``holder``, a hyper-parameter, is known only after the launch."""
        place = self._late.get(id(holder))
        if place is not None:
            raise TraceError(
                f"{key!r} is read after it was changed, at {place}, by a result of the same step, which does not exist "
                f"before the step has run (a tensor counts as a result)\n  at {user_location()}\n"
                "  change it at the end of the step, or outside: the next call then sees it"
            )

    def _asked(self, holder: Holder) -> set[Hashable]:
        return self.holders.setdefault(id(holder), (holder, set()))[1]

    def act(self, act: Act, *holders: Holder) -> None:
        """Do ``act`` now, and in every call before the launch; it changes ``holders``."""
        self._undo.append(act(self.numbers))
        self.before.append((None, act))
        for holder in holders:
            self._asked(holder)
            self._acted.append(holder)
            self._acts[id(holder)] = self._acts.get(id(holder), 0) + 1
            self._known.pop(id(holder), None)

    def set(self, act: Act, holder: Holder, key: Hashable) -> None:
        """Like :meth:`act`, for a plain value that is put under ``key``."""
        known = self._known.get(id(holder), set())
        self.act(act, holder)
        self._known[id(holder)] = known | {key}
        self.pending.pop((id(holder), key), None)

    def rehearse(self, undo: Undo, holder: Holder, key: Hashable, store: Callable[[], None]) -> None:
        """``key`` was set to a value of the graph. ``store`` plans that the host gets it after the launch."""
        self._asked(holder)
        self._undo.append(undo)
        self._known.get(id(holder), set()).discard(key)
        self.pending.setdefault((id(holder), key), store)

    def is_late(self, holder: Holder) -> bool:
        """Whether a change of ``holder`` waits for the launch, so that it cannot be read."""
        return id(holder) in self._late

    def waits(self, *holders: Holder) -> bool:
        """Whether an act on ``holders`` needs results of the launch."""
        waiting = {place for place, _ in self.pending} | self._late.keys()
        return any(id(holder) in waiting for holder in holders)

    def expect(self, read: Callable[[], bool], holder: Holder) -> bool:
        """The value that ``read`` finds; a program is right for calls that find the same."""
        found = read()

        def check(numbers: Numbers) -> Undo:
            if read() is not found:
                raise OtherDecision
            return nothing

        if self._acts.get(id(holder)):  # otherwise the structure of the holder tells
            self.before.append((None, check))
        return found

    def act_late(self, act: LateAct, *holders: Holder) -> None:
        """Do ``act`` in every call after the launch; ``holders`` cannot be read from here on."""
        self.flush(*holders)
        condition = self._condition
        self.after.append(act if condition is None else partial(_unless, condition, act))
        for holder in holders:
            self._asked(holder)
            self._late.setdefault(id(holder), user_location())

    def flush(self, *holders: Holder) -> None:
        """Plan that the host gets what ``holders`` (all, without any) were set to so far."""
        places = {id(holder) for holder in holders}
        for place in [p for p in self.pending if not places or p[0] in places]:
            store = self.pending.pop(place, None)
            if store is not None:
                store()

    def finish(self) -> None:
        """The step has been run to its end."""
        for check in self.checks:
            check()
        self.flush()

    @contextmanager
    def skipping(self, found_inf: Value) -> Iterator[None]:
        """Calls in which ``found_inf`` (f32[]) is set take back, after the launch, the changes made inside."""
        start, acted, outside = len(self.before), self._acted, self._condition
        self.flush()
        self._acted, self._condition = [], self.result(found_inf)
        try:
            yield
            self.flush()
            first, last = (sum(act is not None for _, act in self.before[:n]) for n in (start, len(self.before)))
            self.skips.append((first, last, self._condition))
            for holder in self._acted:
                self._late.setdefault(id(holder), user_location())
        finally:
            self._acted, self._condition = acted + self._acted, outside

    def result(self, value: Value) -> int:
        """The position of ``value`` among the results that acts after the launch are given."""
        self.results.append(value)
        return len(self.results) - 1

    def take_back(self) -> None:
        """Leave the host as it was before the recording."""
        take_back(self._undo)


writes = Clock()
"""Ticks when a holder of numbers is written."""


class Reads:
    """Numbers that are read one after the other."""

    def __init__(self) -> None:
        self.reads: list[Read] = []
        self._numbers: tuple[float, ...] = ()
        self._time = -1

    def now(self) -> tuple[float, ...]:
        """The numbers; they are looked up only if a holder was written since. If not, it is the same tuple again."""
        if self._time != writes.time:
            time = writes.time
            found = [read() for read in self.reads]
            self._numbers = tuple(map(float, found))
            self._time = time if all(isinstance(x, int | float) for x in found) else -1  # a tensor changes in place
        return self._numbers


class HostProgram:
    """The acts of a program's calls on the host. ``acts_late``: whether :meth:`leave` does anything."""

    def __init__(self, record: HostRecord) -> None:
        self._after = record.after
        self._skips = record.skips
        self.acts_late = bool(self._after or self._skips)
        self._decisions = list(record.decisions.values())
        self._segments = [*_segments(record.before)]
        last = self._segments.pop()[0]
        self._reads = last if last.reads else None
        self._holders = [(h, asked, h.structure(asked)) for h, asked in record.holders.values()]

    def fits(self) -> bool:
        """Whether the holders have the structure that was recorded."""
        return all(holder.structure(asked) == recorded for holder, asked, recorded in self._holders)

    def branches(self) -> list[Loc]:
        """The places where Python decides on numbers."""
        return [decision.place for decision in self._decisions]

    def enter(self, numbers: tuple[float, ...] = ()) -> tuple[list[Undo], tuple[float, ...]]:
        """Read and act as the program says, up to the launch. ``numbers``: the scalars of the caller.

        Returns how to take it back, and all scalars: the same tuple again where none of them may have changed. Where
        it fails, it has been taken back already.
        """
        undo: list[Undo] = []
        try:
            for reads, act in self._segments:
                numbers += reads.now()
                undo.append(act(numbers))
            if self._reads is not None:
                numbers += self._reads.now()
            for decision in self._decisions:
                decision.check(numbers)
        except BaseException:
            take_back(undo)
            raise
        return undo, numbers

    def leave(self, undo: list[Undo], results: Sequence[np.ndarray]) -> None:
        """Act on the results of the launch. ``undo``: what :meth:`enter` returned."""
        for first, last, condition in self._skips:
            if results[condition]:
                take_back(undo[first:last])
        for act in self._after:
            act(results)


def take_back(undo: list[Undo]) -> None:
    """Undo acts, the last one first."""
    while undo:
        undo.pop()()


def nothing() -> None:
    """The undo of an act that changes nothing."""


def _segments(order: Sequence[tuple[Read, None] | tuple[None, Act]]) -> Iterator[tuple[Reads, Any]]:
    """Reads and the act behind them; the last segment has no act."""
    reads = Reads()
    for read, act in order:
        if act is None:
            assert read is not None
            reads.reads.append(read)
        else:
            yield reads, act
            reads = Reads()
    yield reads, None


def _unless(condition: int, act: LateAct, results: Sequence[np.ndarray]) -> None:
    """Act where the result ``condition`` is 0."""
    if not results[condition]:
        act(results)
