"""What ARM processors run, in an emulator: training, every op, conversions and elementary functions."""

from __future__ import annotations

import numpy as np
import pytest

from compiler.codegen.c.isa import ISAS
from compiler.codegen.c.prelude import prelude
from genesis import compiled
from runtime.executor import Executor
from runtime.toolchain import Compiler
from tests.arm import arm_device, arm_program, build, emulate, needs_emulator
from tests.compiler.codegen.c import test_prelude
from tests.compiler.codegen.c.plans import GUARD
from tests.compiler.codegen.c.test_unit import Table, check
from tests.end_to_end.test_processors import TOLERANCE
from tests.end_to_end.train import train

NEON = ISAS["neon"]

pytestmark = needs_emulator


@pytest.fixture
def on_arm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled steps run in the emulator."""
    compiler = Compiler((), "", "zig", "", frozenset({"neon"}))
    monkeypatch.setattr(compiled, "find_compiler", lambda: compiler)
    monkeypatch.setattr(compiled, "Executor", lambda plan, _, *settings: Executor(plan, arm_device(plan), *settings))


@pytest.mark.parametrize("run", ["digits:f32", "gpt:f32", "gpt:bf16", "gpt:f16"])
@pytest.mark.usefixtures("on_arm")
def test_training(run: str) -> None:
    losses = train(run)
    assert losses["target"] == "c/neon"
    assert losses["compiled"] == pytest.approx(losses["eager"], rel=TOLERANCE[run.split(":")[1]])


def test_every_op() -> None:
    """Without optimisation, which takes a fraction of the time; on two threads."""
    table = Table(NEON, lambda plan: arm_program(plan, "-O0", guard=GUARD))
    for op in table.by_op:
        check(table, op)
    assert table.status == [0, 0, 0, 0]


def test_prelude_functions() -> None:
    """Vectorised: every exponent, subnormals, infinities and NaN."""
    names = [*test_prelude.CONVERSIONS, *test_prelude.FUNCTIONS]
    calls = "\n".join(f"  if (which == {i}) run_{name}(n, args[1], args[2]);" for i, name in enumerate(names))
    text = f"""{prelude(NEON, test_prelude.loops())}{test_prelude.loops()}
void step(gen_pool *pool, int threads, void *const *args, long long *status) {{
  const long which = ((const long *)args[0])[0], n = ((const long *)args[0])[1];
{calls}
}}
"""
    executable = build(text)

    def apply(name: str, x: np.ndarray, result: type) -> np.ndarray:
        y = np.empty(x.shape, result)
        emulate(executable, [array.view(np.uint8) for array in (np.array([names.index(name), x.size]), x, y)])
        return y

    test_prelude.check_functions(apply)
    test_prelude.check_flushed(apply)
    test_prelude.check_conversions(apply)
