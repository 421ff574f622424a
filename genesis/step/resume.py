"""A proof that training resumed from a checkpoint is the same training."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compiler.errors import ChoiceError, ResumeError
from genesis.step.states import TrainingState, plain

Batches = Callable[[int], Sequence[Any]] | Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Resumed:
    """The values found equal, bit for bit, in a run of ``calls`` calls and in one that was resumed after ``saved``."""

    calls: int
    saved: int
    tensors: int
    numbers: int
    results: int

    def __str__(self) -> str:
        return (
            f"resumed after {self.saved} of {self.calls} calls: {self.tensors} tensors, {self.numbers} numbers and "
            f"{self.results} results are equal, bit for bit"
        )


def verify_resume(
    step: Callable[..., Any],
    n: int,
    k: int,
    batches: Batches,
    *,
    objects: Iterable[Any] = (),
    after: Callable[[int], object] | None = None,
    save: Callable[[Path], object] | None = None,
    load: Callable[[Path], object] | None = None,
) -> Resumed:
    """Compare ``n + k`` calls of ``step`` with ``n``, saving, a new start, loading and ``k``: all state, bit for bit.

    step: the training step, compiled or not. All that it and ``after`` reach is found: modules, optimizers, scalers,
        schedules, and other objects with ``state_dict()`` and ``load_state_dict()``.
    batches: the arguments of each call, as a sequence, or as a function of the number of the call.
    objects: others with a ``state_dict()`` that belong to the training.
    after: called with the number of the call after each, for ``scheduler.step()``.
    save, load: the program's own, given a path. Without them everything is saved, and the state of the generator.

    Between saving and loading everything is as before the first call, as in a new process: what ``save`` leaves out
    shows. At the end, too, everything is as it was before. Raises ResumeError, an AssertionError, that names the first
    difference; ChoiceError if ``n`` or ``k`` is not positive, if there are fewer batches, or if only
    one of ``save`` and ``load`` is given.
    """
    if n < 1 or k < 1:
        raise ChoiceError(f"verify_resume(n={n}, k={k}): both are numbers of calls, at least 1")
    if not callable(batches) and len(batches) < n + k:
        raise ChoiceError(f"verify_resume(n={n}, k={k}) makes {n + k} calls; there are {len(batches)} batches")
    if (save is None) != (load is None):
        raise ChoiceError("verify_resume() takes save= and load= together: the one reads what the other wrote")
    training = TrainingState(step, objects, after)
    write, read = save or training.save, load or training.load

    def run(start: int, stop: int) -> list[dict[str, Any]]:
        results = []
        for i in range(start, stop):
            found = step(*(batches(i) if callable(batches) else batches[i]))
            if after is not None:
                after(i)
            results.append(plain(found))
        return results

    with training.kept() as restart, tempfile.TemporaryDirectory() as folder:
        whole = run(0, n + k)[n:]
        expected = training.state()
        restart()
        run(0, n)
        write(Path(folder) / "resume.checkpoint")
        restart()
        read(Path(folder) / "resume.checkpoint")
        resumed = run(n, n + k)
        found = training.state()
    for i, (a, b) in enumerate(zip(whole, resumed, strict=True)):
        _compare(a, b, f"the result of call {n + i + 1}", n)
    _compare(expected, found, "", n)
    arrays = sum(isinstance(x, np.ndarray) for x in expected.values())
    return Resumed(n + k, n, arrays, len(expected) - arrays, sum(map(len, whole)))


def _compare(a: dict[str, Any], b: dict[str, Any], where: str, saved: int) -> None:
    """Raise ResumeError for the first leaf that is not the same in both."""
    different = [path for path in {**a, **b} if not _same(a.get(path), b.get(path))]
    if not different:
        return
    path = different[0]
    x, y = a.get(path), b.get(path)
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and x.shape == y.shape and x.dtype == y.dtype and x.ndim:
        bits = [np.ascontiguousarray(v).view(np.uint8).reshape(*v.shape, -1) for v in (x, y)]
        index = tuple(int(i) for i in np.argwhere((bits[0] != bits[1]).any(-1))[0])
        path, x, y = f"{path}{list(index)}", x[index], y[index]
    owners = ", ".join(dict.fromkeys(re.split(r"[\[.]", name)[0] for name in different))
    others = f"\n  {len(different)} of {len({**a, **b})} values differ, in {owners}" if not where else ""
    raise ResumeError(
        f"training that is resumed after {saved} calls is another one: {where}{path} is {_shown(y)} in it, and "
        f"{_shown(x)} in the run without a break{others}\n"
        "  what is not saved and loaded again (an optimizer, a schedule, a scaler, the generator's state, buffers, "
        "the position in the data) starts as before the first call"
    )


def _same(x: Any, y: Any) -> bool:
    if isinstance(x, np.ndarray) and isinstance(y, np.ndarray):
        return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
    if isinstance(x, float) and isinstance(y, float):
        return repr(x) == repr(y)
    return type(x) is type(y) and bool(x == y)


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.item()) if not value.ndim else f"{value.dtype}{list(value.shape)}"
    return "not there" if value is None else str(value)
