"""Recording a step, and the proof that its graph is what every call of the step would record.

A recording runs the step's Python. Whatever Python state it changes would change once, not at every call. So the state
that the step reaches is kept before, compared after, and put back: a step that changes it is refused. A recording is
made again now and then and must give the same graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from compiler.errors import TraceError
from compiler.text.printer import print_graph
from genesis.capture.guards.backup import Backup, Kept, line_that_changes, refusal, shown_at
from genesis.capture.guards.keys import guard_key
from genesis.capture.guards.reachable import PLAIN, STREAMS, Reachable
from genesis.capture.keeping import Keep
from genesis.capture.output import muted
from genesis.capture.tracing import Traced
from genesis.memory.cells import Cell
from genesis.pytree import leaves

Reach = Callable[[], Reachable]
"""Finds what the step reaches now."""

Trace = Callable[[Reachable, Callable[[], None]], Traced]
"""Records one call of the step; the second argument puts Python state back, before a call is recorded once more."""


def record_audited(name: str, reach: Reach, trace: Trace, learn: Callable[[list[Keep]], bool]) -> Traced | None:
    """The recording of one call; Python state may only change as it does when the step runs for the first time.

    State that the first run of a step makes, such as a table computed when it is first needed, stays; a second
    recording then changes nothing more, computes the same, and is the one that counts. A first run that computes
    something else (``if not self.ready: ...``) is refused. Tensors that the step keeps are given to ``learn``:
    None if it says that the call is to be recorded again with what it has learned. Raises TraceError for any other
    change; the state is as before then, and after any other error.
    """
    reachable = reach()
    _refuse_iterators(name, reachable)
    backup = Backup(reachable)
    try:
        traced = trace(reachable, backup.restore)
        if traced.float_arguments:
            _refuse_type_tests(name, reachable)
        changed = backup.changed()
        if not changed:
            return traced
        if learn([keep for kept in changed for keep in kept.keeps()]):
            backup.restore()
            return None
        settled = _recorded_without_change(reach, trace)
        frozen = all(kept.is_flag for kept in changed)  # tensors, which a second recording detaches
        if settled is not None and (frozen or _difference(traced, settled) is None):
            return settled
        if learn([keep for kept in changed for keep in kept.keeps(traced=False)]):  # views of tensors from outside
            backup.restore()
            return None
    except BaseException:
        backup.restore()
        raise
    raise _refused(name, changed[0], backup, reachable, lambda: trace(reach(), backup.restore))


def check_again(name: str, reach: Reach, trace: Trace, before: Traced) -> None:
    """Record the step again: raises TraceError unless that changes nothing and gives the graph of ``before``.

    Python state is afterwards as it was. The step's warnings are not shown again.
    """
    reachable = reach()
    backup = Backup(reachable)
    try:
        with muted():
            traced = trace(reachable, backup.restore)
        changed = backup.changed()
        if changed:
            raise _refused(name, changed[0], backup, reachable, lambda: trace(reach(), backup.restore))
    finally:
        backup.restore()
    difference = _difference(before, traced)
    if difference is not None:
        raise TraceError(
            f"{name} would be recorded differently now, though nothing that its guards look at has changed:\n"
            f"  then: {difference.before}\n"
            f"  now:  {difference.after}\n"
            "  The step reads something that changes without a trace (a clock, a file, the number of a call). "
            "Read it outside the step and pass it as an argument; nothing was updated by this call."
        )


def _recorded_without_change(reach: Reach, trace: Trace) -> Traced | None:
    """A recording that changes no Python state; None where there is none."""
    reachable = reach()
    backup = Backup(reachable)
    try:
        with muted():
            traced = trace(reachable, backup.restore)
    except Exception:  # the state that the first recording left does not serve a second one
        return None
    return None if backup.changed() else traced


def _refuse_iterators(name: str, reachable: Reachable) -> None:
    for path, thing, place in reachable.iterators:
        kind = type(thing).__name__
        if isinstance(thing, STREAMS):
            raise TraceError(
                f"{name} uses {path}, an open file ({kind}); a compiled step would read and write it only when it is "
                f"compiled\n{shown_at(place)}  use it outside, and return from the step what is to be written"
            )
        raise TraceError(
            f"{name} reads {path}, a {kind}, which is used up by reading it; a compiled step would read it only when "
            f"it is compiled\n{shown_at(place)}  call next() outside and pass the result as an argument"
        )


def _refuse_type_tests(name: str, reachable: Reachable) -> None:
    """Raise TraceError for a comparison of ``type(x)`` with float, which a float argument would answer wrongly."""
    if reachable.type_test is not None:
        raise TraceError(
            f"{name} compares type(...) and names float, and has a float argument, which is read at every call: its "
            f"type is another one while the step is compiled\n{shown_at(reachable.type_test)}"
            "  write isinstance(x, float)"
        )


def _refused(name: str, kept: Kept, backup: Backup, reachable: Reachable, run: Callable[[], Any]) -> TraceError:
    """The error for a step that changes ``kept``, with the line that does; the state is put back."""
    subject = kept.subject()
    backup.restore()
    with muted():
        place = line_that_changes(kept, run)
    backup.restore()
    return TraceError(_refusal(name, kept, subject, place or _place(reachable, subject)))


def _refusal(name: str, kept: Kept, subject: str, place: Any) -> str:
    """The message for a step that changes ``subject``."""
    if kept.draws:
        return (
            f"{name} draws random numbers from {kept.name}; a compiled step would draw them only when it is compiled\n"
            f"{shown_at(place)}  use genesis.rand and its like, which draw at every call, or draw outside and pass the "
            "numbers as an argument"
        )
    return refusal(name, subject, place)


def _place(reachable: Reachable, name: str) -> Any:
    return reachable.place_of(name) or reachable.names.place(name.split(".")[-1])


# Comparing recordings


class Difference(NamedTuple):
    """The first lines in which two recordings differ."""

    before: str
    after: str


def _difference(before: Traced, after: Traced) -> Difference | None:
    graphs = before.stages.latest, after.stages.latest
    old, new = (print_graph(graph, located=False).splitlines() for graph in graphs)
    if old != new:
        at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        return Difference(*[_line(print_graph(graph), at) for graph in graphs])
    for a, b in zip(before.states, after.states, strict=True):
        if a is not b and not _same_constant(a, b):
            label = f"{a.label or 'a tensor'} {a.type}"
            return Difference(f"it reads {label}", f"it reads another tensor, {b.label or 'without a name'} {b.type}")
    for old_read, new_read in zip(before.late_inputs, after.late_inputs, strict=True):
        a, b = old_read.array, new_read.array
        if a is not None and old_read.owner is None and guard_key(a) != guard_key(b):
            return Difference(f"it reads the constant {_short(a)}", f"it reads the constant {_short(b)}")
    places = [[keep.name for keep in traced.keeps] for traced in (before, after)]
    if places[0] != places[1]:
        return Difference(*[f"it puts tensors into {', '.join(names) or 'nothing'}" for names in places])
    shown = [[entry for entry in traced.output if entry.is_enabled()] for traced in (before, after)]
    for entry, other in zip_longest(*shown):
        if entry != other:
            return Difference(*["it prints nothing more" if x is None else str(x) for x in (entry, other)])
    for (path, a), (_, b) in zip(_plain_results(before), _plain_results(after), strict=False):
        if guard_key(a) != guard_key(b):
            return Difference(f"result{path} = {a!r}", f"result{path} = {b!r}")
    return None


def _same_constant(a: Cell, b: Cell) -> bool:
    """Whether both hold what their recording put there: the same numbers, or the same memory."""
    same = a.type == b.type and not a.requires_grad and not b.requires_grad
    return same and (np.shares_memory(a.value.data, b.value.data) or guard_key(a.value.data) == guard_key(b.value.data))


def _line(text: str, at: int) -> str:
    """Line ``at`` of a graph's text, after the names of its files."""
    lines = [line for line in text.splitlines() if not line.startswith("file ")]
    return " ".join(lines[at].split()) if at < len(lines) else "(nothing)"


def _short(array: Any) -> str:
    return f"{array.dtype}{list(array.shape)} {array.reshape(-1)[:4].tolist()}"


def _plain_results(traced: Traced) -> Iterator[tuple[str, Any]]:
    """The results that are numbers, strings and the like, with their paths."""
    result = traced.result([_TENSOR] * len(traced.exits))
    result = result[0] if traced.keeps else result
    return ((path, leaf) for path, leaf in leaves(result) if isinstance(leaf, PLAIN))


_TENSOR: Any = object()
"""Stands for every tensor of a result."""
