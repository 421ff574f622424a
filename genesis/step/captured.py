"""The programs that a script compiles and calls, for the commands that look at them afterwards."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import genesis.script as script
import genesis.step.program as compiled
from genesis.step.execution import Program
from genesis.step.program import CompiledFunction


class Captured(NamedTuple):
    """A program, and the function that it is of."""

    function: CompiledFunction[..., Any]
    program: Program

    @property
    def name(self) -> str:
        return self.program.traced.stages.latest.name


class Enough(BaseException):
    """Ends a script whose steps have been called as often as was asked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a command that looks at the programs of a script."""
    parser.add_argument(
        "--steps", type=script.positive, metavar="N", help="end the script after N calls of compiled steps"
    )
    parser.add_argument("--runs", type=script.positive, default=20, help="runs to time the kernels over (default 20)")
    script.add_arguments(parser)


def capture(arguments: argparse.Namespace) -> tuple[int, list[Captured]]:
    """Run a script; its exit code, and the programs of which a call succeeded, in the order of compilation.

    The code is 1 where there is none. ``arguments`` come from :func:`add_arguments`.
    """
    found: list[Captured] = []
    done: set[Program] = set()
    left: int | None = arguments.steps

    def counted(program: Program, run: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            result = run(*arguments)
            done.add(program)
            if left is not None:
                left -= 1
                if left <= 0:
                    raise Enough
            return result

        return call

    def note(function: CompiledFunction[..., Any], program: Program) -> None:
        found.append(Captured(function, program))
        vars(program)["run"] = counted(program, program.run)
        print(f"genesis: compiled {found[-1].name} in {program.seconds:.2f} s", file=sys.stderr)

    compiled.told.append(note)
    try:
        code = script.run(arguments)
    except Enough:
        code = 0
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        compiled.told.remove(note)
        for item in found:
            vars(item.program).pop("run", None)
    captured = [item for item in found if item.program in done]
    if not captured:
        print(f"genesis: {arguments.script} called no compiled function, so there is nothing to show", file=sys.stderr)
        code = code or 1
    return code, captured
