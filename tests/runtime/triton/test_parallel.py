"""Kernels compiled in several processes are those that one process compiles."""

from dataclasses import replace

import pytest

import compiler.ops.all  # noqa: F401
from compiler.codegen.triton.module import emit
from compiler.ir.op import o
from compiler.plan import Plan
from runtime.triton import parallel
from runtime.triton.aot import CompiledKernel, compile_numbered
from runtime.triton.parallel import compile_program
from tests.compiler.codegen.triton.test_kernels import lower, normal


def several() -> Plan:
    """A program of three kernels."""

    def results(x, y):
        return o.sum(o.exp(x), axes=(1,)), o.sin(y), o.sum(y, axes=(0,))

    program = emit(lower(results, [normal(40, 30)] * 2))
    assert len(program.kernels) >= 3
    return program


def alone(program: Plan) -> list[bytes]:
    return [compile_numbered(program, i).binary for i in range(len(program.kernels))]


def test_a_helper_compiles_the_same_kernels() -> None:
    program = several()
    kernels = compile_program(program, processes=2)
    assert [k.binary for k in kernels] == alone(program)
    assert [k.name for k in kernels] == [k.name for k in program.kernels]


def test_a_helper_alone_does_all() -> None:
    program = several()
    found: dict[int, CompiledKernel] = {}
    numbers = list(range(len(program.kernels)))
    parallel._help(program, parallel.deque(numbers), found)
    assert sorted(found) == numbers


@pytest.mark.parametrize("command", ["/nowhere/python", "/bin/true"])
def test_without_helpers_that_work_this_process_does_it_all(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(parallel.sys, "executable", command)
    program = several()
    assert [k.binary for k in compile_program(program, processes=3)] == alone(program)


def test_a_kernel_that_does_not_compile_is_an_error_as_without_helpers() -> None:
    program = several()
    broken = replace(program, source=program.source.replace("tl.exp(", "tl.no_such_thing("))
    with pytest.raises(Exception, match="no_such_thing"):
        compile_program(broken, processes=2)


def test_the_longest_kernels_are_compiled_first() -> None:
    program = several()
    order = parallel._longest_first(program)
    texts = ["def " + text for text in program.source.split("\ndef ")[1:]]
    longest = max((t for t in texts if any(t.startswith(f"def {k.name}(") for k in program.kernels)), key=len)
    assert longest.startswith(f"def {program.kernels[order[0]].name}(")
