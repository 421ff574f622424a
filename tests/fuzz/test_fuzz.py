"""A few random steps, and the fuzzer itself on a fault that a test puts there."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.fuzz.__main__ as fuzz
from tests.fuzz import run
from tests.fuzz.__main__ import check, drawing, main
from tests.fuzz.generate import generate
from tests.fuzz.program import Program, Statement, text
from tests.fuzz.reduce import reduced, smaller
from tests.fuzz.run import Trace, compare, refuses, steady, trace

BATCHES = 3
TOGETHER = 4


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_steps_agree(batch: int, capsys: pytest.CaptureFixture[str]) -> None:
    first = str(1000 + TOGETHER * batch)
    status = main(["--seed", first, "--programs", str(TOGETHER), "--together", str(TOGETHER), "--optimize", "0"])
    said = capsys.readouterr().out
    assert status == 0, said
    assert f"{TOGETHER} programs" in said


def test_a_seed_is_one_program() -> None:
    assert generate(5) == generate(5) != generate(6)


@pytest.mark.parametrize("block", range(4))
def test_programs_are_python_and_shapes_are_right(block: int) -> None:
    for program in map(generate, range(60 * block, 60 * block + 60)):
        result = trace(replace(program, calls=1), "eager")
        assert result.error is None, text(program)
        shapes = {s.name: s.shape for s in program.statements}
        found = [a.shape for a in result.arrays[1 : 1 + len(program.terms)]]
        assert found == [shapes[t] for t in program.terms], text(program)


def test_programs_in_micro_batches_are_cut_or_say_why_not() -> None:
    programs = list(islice(drawing(0, "accumulate=2"), 12))
    assert all("accumulate=2" in text(p) for p in programs)
    taken = [p for p in programs if not refuses(p)]
    assert len(taken) > 3
    assert check(taken[:4], ("eager", "interpreted")) == []


def test_a_fault_is_found_and_reduced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A way in which every program with a softmax is off by 1 percent."""
    honest = run.trace

    def faulty(program: Any, way: str, *noise: float) -> Trace:
        found = honest(program, "eager", *noise)
        wrong = way == "interpreted" and any("softmax" in s.code for s in program.statements)
        return Trace([a * 1.01 for a in found.arrays]) if wrong else found

    monkeypatch.setattr(run, "trace", faulty)
    monkeypatch.setattr(fuzz, "together", lambda programs, way: {p.seed: faulty(p, way) for p in programs})
    program = next(p for p in map(generate, range(200)) if "softmax" in text(p) and not p.halves and steady(p))
    (finding,) = check([program], ("eager", "interpreted"))
    assert finding.ways == ("interpreted", "eager")
    codes = [s.code for s in finding.program.statements if s.code]
    assert any("softmax" in code for code in codes)
    assert len(codes) <= 3
    assert (finding.program.scheduler, finding.program.clip, finding.program.calls) == ("", "", 1)


def test_a_fault_that_shows_together_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    programs = [replace(generate(seed), calls=1, accumulate=1) for seed in (1, 2)]
    honest = fuzz.together
    monkeypatch.setattr(fuzz, "together", lambda ps, way: KeyError("r0") if way == "interpreted" else honest(ps, way))
    (finding,) = check(programs, ("eager", "interpreted"))
    assert finding.ways == ("together", "alone")
    assert "KeyError('r0')" in finding.what and "seeds 1, 2" in finding.what


def test_smaller_programs_run() -> None:
    for program in smaller(generate(11)):
        assert trace(program, "eager").error is None


def test_reduction_ends_where_nothing_helps() -> None:
    program = generate(3)
    assert reduced(program, lambda p: False) == program


def test_a_script_stands_alone(tmp_path: Path) -> None:
    script = tmp_path / "step.py"
    script.write_text(text(generate(8)))
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(script)], env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= generate(8).calls


@pytest.mark.parametrize(
    "other, what",
    [
        (Trace([np.ones(2)]), ""),
        (Trace([np.array([1, 1.1])]), "differs by 0.1"),
        (Trace([np.array([1, np.nan])]), "not finite"),
        (Trace([np.ones((1, 2))]), "shapes"),
        (Trace(error=KeyError("f64")), "KeyError"),
    ],
)
def test_compare(other: Trace, what: str) -> None:
    found = compare(replace(generate(0), dtype="float64"), other, Trace([np.ones(2)]))
    assert what in found and bool(found) == bool(what)


def test_programs_next_to_a_jump_mean_nothing() -> None:
    def last(program: Program) -> Statement:
        return [s for s in program.statements if s.name in program.terms][-1]

    def fits(program: Program) -> bool:
        kinds = {s.name: s.kind for s in program.statements}
        return not program.halves and [kinds[name] for name in last(program).operands] == ["float"]

    program = replace(next(p for p in map(generate, range(100)) if fits(p)), dtype="float64")
    value = last(program)
    jumping = replace(value, code="({0} * 1e9).sin()", setup="")
    assert steady(program)
    assert not steady(replace(program, statements=tuple(jumping if s is value else s for s in program.statements)))
    sign = replace(value, code="{0} + ({0} * 3 - {0} - {0} - {0}).signbit()", setup="")
    assert not steady(replace(program, statements=tuple(sign if s is value else s for s in program.statements)))
