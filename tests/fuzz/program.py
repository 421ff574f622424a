"""A random training step as data (statements, terms of the loss, the training), and its text for a library."""

from __future__ import annotations

from dataclasses import dataclass, replace

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Statement:
    """``name = code``, with ``{0}``, ``{1}`` in ``code`` for ``operands`` and ``{m}`` for the module or parameter.

    ``setup`` is the expression of that module or parameter, which is made once, before the first step. ``argument`` is
    the expression of an argument of the step; such a statement has no code. ``kind`` is "float", "int" or "bool".
    ``grad``: the result depends on a parameter. ``random``: it draws random numbers, which no two libraries draw alike.
    """

    name: str
    code: str
    operands: tuple[str, ...]
    shape: Shape
    kind: str = "float"
    setup: str = ""
    argument: str = ""
    grad: bool = True
    random: bool = False

    @property
    def module(self) -> str:
        return f"m_{self.name}" if self.code else self.name

    def expression(self) -> str:
        return self.code.format(*self.operands, m=self.module)


@dataclass(frozen=True)
class Program:
    """A step: ``statements`` in order, ``terms`` (names) whose mean squares are added to the loss, and the training."""

    seed: int
    statements: tuple[Statement, ...]
    terms: tuple[str, ...]
    optimizer: str = "SGD(parameters, lr=0.05)"
    dtype: str = "float32"
    autocast: str = ""
    scaler: str = ""
    clip: str = ""
    scheduler: str = ""
    scheduled_inside: bool = False
    accumulate: int = 1
    calls: int = 3

    @property
    def random(self) -> bool:
        return any(s.random for s in self.statements)

    @property
    def overflows(self) -> bool:
        """Whether gradients reach the largest numbers: which ones pass them hangs on the order of multiplications."""
        return "2.0**127" in self.scaler and self.dtype == "float32"

    @property
    def scale_free(self) -> bool:
        """Whether a gradient of 0 but for rounding moves its parameter as far as any other gradient."""
        return self.optimizer.startswith(("Rprop", "Adafactor"))

    @property
    def halves(self) -> bool:
        """Whether something is computed in 16 bits."""
        return bool(self.autocast) or any("float16" in s.code for s in self.statements)

    def pruned(self) -> Program:
        """Without the statements that nothing reads."""
        needed, kept = set(self.terms), []
        for s in reversed(self.statements):
            if s.name in needed:
                kept.append(s)
                needed.update(s.operands)
        return replace(self, statements=tuple(reversed(kept)))


IMPORTS = {
    "genesis": """import genesis as lib
from genesis import nn, optim
from genesis.amp import GradScaler, autocast
from genesis.nn import functional as F
from genesis.optim import lr_scheduler
""",
    "torch": """import torch as lib
from torch import autocast, nn, optim
from torch.amp import GradScaler
from torch.nn import functional as F
from torch.optim import lr_scheduler
""",
}

HELPERS = '''

def numbers(name, *shape, call=0):
    """Normal numbers that depend on the name and the call only."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), call])
    return rng.standard_normal(shape).astype("{dtype}")


def indices(name, size, *shape, call=0):
    """Integers from 0 to size - 1."""
    return np.random.default_rng([zlib.crc32(name.encode()), call]).integers(0, size, shape)


def filled(name, module):
    """The module with parameters that are the same in both libraries."""
    for key, p in module.named_parameters():
        p.data = lib.tensor(numbers(name + key, *p.shape) * 0.3)
    return module.to(lib.{dtype})
'''

SCAN = '''

def scan(f, init, xs):
    """genesis.scan in PyTorch: a loop over the slices."""
    ys = []
    for x in xs.unbind(0):
        init, y = f(init, x)
        ys.append(y)
    return init, lib.stack(ys)
'''

EFFECTS = {
    "halves_written": """
def halves_written(x):
    c = x.clone()
    c[::2] = c[::2].tanh() * 2
    c[..., 0] += 0.5
    return c
""",
    "doubled_rows": """
def doubled_rows(x):
    c = x * 1
    rows = c.view(c.shape[0], -1)
    rows[0].mul_(2)
    rows.add_(1)
    return c
""",
    "column_added": """
def column_added(x):
    c = lib.zeros_like(x)
    c.copy_(x)
    c.select(-1, 0).add_(x.select(-1, -1))
    return c
""",
    "hooked": """
def hooked(x):
    c = x * 1
    c.register_hook(lambda g: g * 0.5)
    return c
""",
    "sloped": """
def sloped(x):
    (g,) = lib.autograd.grad(x.tanh().sum(), x, create_graph=True)
    return x * g
""",
    "penalised": """
def penalised(x):
    (g,) = lib.autograd.grad((x.sigmoid() * x).sum(), x, create_graph=True)
    (h,) = lib.autograd.grad((g * g).sum(), x, create_graph=True)
    return x + 0.1 * h
""",
    "frozen": """
def frozen(x):
    with lib.no_grad():
        scale = x.tanh() * 2
        scale.add_(0.5)
    return x * scale
""",
    "attacked": """
def attacked(x):
    y = x.detach().requires_grad_()
    (y.sin() ** 2).sum().backward()
    return x + 0.1 * y.grad.sign() * y.grad.abs()
""",
    "view_kept": """
def view_kept(x):
    c = x * 1
    row, flat = c[0], c.reshape(-1)
    c.mul_(0.5)
    row.add_(1)
    flat[-1:].sub_(0.5)
    return c + flat.mean() * row.sum() * 0.1
""",
    "layered": """
def layered(x):
    c = x * 2
    old, c.data = c.detach(), c.data * 0.5
    old.add_(1)
    return c + old * 0.1
""",
    "reordered": """
def reordered(x):
    c = x.permute(*reversed(range(x.dim()))) * 1
    c.reshape(-1)[::2].mul_(2)
    c.permute(*reversed(range(x.dim()))).reshape(-1)[1:].sub_(0.5)
    return c.permute(*reversed(range(x.dim())))
""",
    "looped": """
def looped(x):
    total = x * 0
    for k in range(3):
        total = total + (x * (k + 1)).sin()
    return total
""",
}
"""Functions of one value that keep its shape and write, differentiate, or hook on the way."""


def body(program: Program) -> list[str]:
    """The lines of the step."""
    lines = ["optimizer.zero_grad()"]
    inner = [f"{s.name} = {s.expression()}" for s in program.statements if s.code]
    wide = ".float()" if program.halves else ""
    inner.append("loss = " + " + ".join(f"({name}{wide} ** 2).mean()" for name in program.terms))
    if program.autocast:
        lines += [f'with autocast("cpu", dtype=lib.{program.autocast}):', *("    " + line for line in inner)]
    else:
        lines += inner
    lines.append("scaler.scale(loss).backward()" if program.scaler else "loss.backward()")
    if program.clip:
        lines += ["scaler.unscale_(optimizer)"] if program.scaler else []
        lines.append(f"nn.utils.{program.clip}")
    lines += ["scaler.step(optimizer)", "scaler.update()"] if program.scaler else ["optimizer.step()"]
    if program.scheduler and program.scheduled_inside:
        lines.append(f"scheduler.step({_metric(program, 'loss.detach()')})")
    return [*lines, f"return loss, {', '.join(program.terms)}"]


def text(program: Program, library: str = "genesis", main: bool = True) -> str:
    """The program as a script for ``library``. ``main``: it trains and prints, compiled and eager."""
    arguments = [s for s in program.statements if s.argument]
    made = [s for s in program.statements if s.setup]
    lines = ["import zlib", "from argparse import Namespace", "", "import numpy as np", "", IMPORTS[library].rstrip()]
    lines.append(HELPERS.replace("{dtype}", program.dtype).rstrip())
    if any("scan(" in s.code for s in program.statements):
        lines.append(SCAN.rstrip() if library == "torch" else "\nscan = lib.scan")
    lines += [
        source.rstrip() for name, source in EFFECTS.items() if any(f"{name}(" in s.code for s in program.statements)
    ]
    lines += ["", ""]
    lines += [f"{s.module} = {s.setup}" for s in made]
    trained = ", ".join(f"*{s.module}.parameters()" if s.code else s.module for s in made)
    lines += [f"parameters = [{trained}]", f"optimizer = optim.{program.optimizer}"]
    lines += [f"scheduler = lr_scheduler.{program.scheduler}"] if program.scheduler else []
    lines += [f"scaler = GradScaler({program.scaler})"] if program.scaler else []
    lines += ["", "", f"def step({', '.join(s.name for s in arguments)}):", *("    " + line for line in body(program))]
    lines += ["", "", "def batch(call):", f"    return [{', '.join(s.argument for s in arguments)}]"]
    lines += ["", "", "def after():", *_after(program)]
    if main:
        lines += ["", "", *_main(program, library)]
    return "\n".join(lines) + "\n"


def _after(program: Program) -> list[str]:
    """The code that follows each call on the host."""
    outside = program.scheduler and not program.scheduled_inside
    return [f"    scheduler.step({_metric(program, '1.0')})" if outside else "    pass"]


def _metric(program: Program, loss: str) -> str:
    """The argument of the schedule's step; outside of the step the loss is taken not to improve."""
    return loss if program.scheduler.startswith("ReduceLROnPlateau") else ""


def _main(program: Program, library: str) -> list[str]:
    options = f", accumulate={program.accumulate}" if program.accumulate > 1 else ""
    return [
        f"run = {f'lib.compile(step{options})' if library == 'genesis' else 'step'}  # or: step",
        f"for call in range({program.calls}):",
        "    results = run(*batch(call))",
        "    after()",
        "    print(call, *(r.detach().float().numpy() for r in results))",
        "for p in parameters:",
        "    print(p.detach().float().numpy())",
    ]
