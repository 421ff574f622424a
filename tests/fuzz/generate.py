"""A random program for a seed."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.fuzz.program import Program, Statement
from tests.fuzz.vocabulary import LARGEST, Draft

SHAPES = [(5,), (4, 6), (3, 7), (7, 1), (1, 5), (2, 3, 8), (3, 2, 9), (4, 3, 6, 5), (2, 4, 5, 5), (9, 17), (6, 2, 4)]
SHAPES += [(1,), (1, 1), (2, 1, 7), (13,), (1, 3, 1, 5), (2, 3, 3, 4, 5), (31, 2)]

OPTIMIZERS = [
    "SGD(parameters, lr=0.05)",
    "SGD(parameters, lr=0.02, momentum=0.9)",
    "SGD(parameters, lr=0.02, momentum=0.9, nesterov=True, weight_decay=0.01)",
    "SGD(parameters, lr=0.02, momentum=0.5, dampening=0.1, maximize=True)",
    "Adam(parameters, lr=0.01, eps=0.01)",
    "Adam(parameters, lr=0.01, eps=0.01, amsgrad=True, weight_decay=0.01)",
    "AdamW(parameters, lr=0.01, eps=0.01, betas=(0.8, 0.95), weight_decay=0.1)",
    "SGD(parameters, lr=0.02, weight_decay=0.1, maximize=True)",
    "Adam(parameters, lr=0.01, eps=0.01, betas=(0.5, 0.9), maximize=True)",
    "AdamW(parameters, lr=0.01, eps=0.01, amsgrad=True)",
    "AdamW(parameters, lr=lib.tensor(0.01, dtype=lib.float64), eps=0.01)",
    "RMSprop(parameters, lr=0.01, eps=0.01)",
    "RMSprop(parameters, lr=0.01, eps=0.1, momentum=0.9, centered=True, weight_decay=0.01)",
    "Adagrad(parameters, lr=0.05, eps=0.01)",
    "Adagrad(parameters, lr=0.05, eps=0.01, lr_decay=0.1, initial_accumulator_value=0.1, maximize=True)",
    "Adadelta(parameters, lr=0.5, eps=0.01)",
    "Adadelta(parameters, lr=0.5, rho=0.8, eps=0.01, weight_decay=0.1)",
    "Adamax(parameters, lr=0.01, eps=0.1, betas=(0.8, 0.9))",
    "NAdam(parameters, lr=0.01, eps=0.1, weight_decay=0.01)",
    "RAdam(parameters, lr=0.01, eps=0.1, betas=(0.8, 0.7))",
    "ASGD(parameters, lr=0.05, lambd=0.1, t0=2)",
    "Rprop(parameters, lr=0.01)",
    "Rprop(parameters, lr=0.02, etas=(0.6, 1.3), step_sizes=(0.005, 0.03), maximize=True)",
    "Adafactor(parameters, lr=0.01)",
    "Adafactor(parameters, lr=0.02, beta2_decay=-0.5, d=1.5, weight_decay=0.1)",
    'SGD([{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:]}], lr=0.05, momentum=0.5)',
    'AdamW([{"params": parameters[:1]}, {"params": parameters[1:], "weight_decay": 0.0}], lr=0.01, eps=0.01)',
]
"""``eps`` is large: Adam divides noise by noise where a gradient is nearly 0."""

SCHEDULERS = [
    "StepLR(optimizer, 2, 0.5)",
    "ExponentialLR(optimizer, 0.8)",
    "CosineAnnealingLR(optimizer, 5)",
    "LinearLR(optimizer, 0.25, total_iters=3)",
    "OneCycleLR(optimizer, 0.1, total_steps=10, cycle_momentum=False)",
    "LambdaLR(optimizer, lambda n: 1 / (n + 1))",
    "MultiplicativeLR(optimizer, lambda n: 0.9)",
    "MultiStepLR(optimizer, [1, 2], 0.5)",
    "PolynomialLR(optimizer, 4, 0.5)",
    "ConstantLR(optimizer, 0.5, 2)",
    "CosineAnnealingWarmRestarts(optimizer, 2)",
    "CyclicLR(optimizer, 0.01, 0.1, 2, cycle_momentum=False)",
    "SequentialLR(optimizer, [lr_scheduler.ConstantLR(optimizer, 0.5, 1), lr_scheduler.StepLR(optimizer, 1)], [1])",
    "ChainedScheduler([lr_scheduler.ConstantLR(optimizer, 0.5, 2), lr_scheduler.ExponentialLR(optimizer, 0.9)])",
    "ReduceLROnPlateau(optimizer, factor=0.5, patience=0, threshold=0.5)",
]


def generate(seed: int) -> Program:
    """The program of a seed, always the same one."""
    rng = random.Random(seed)
    halves = rng.random() < 0.15
    dtype = "float64" if not halves and rng.random() < 0.25 else "float32"
    micro = 2 if rng.random() < 0.1 else 1
    draft = Draft(rng, halves)
    shapes = rng.sample([s for s in SHAPES if s[0] % micro == 0], rng.randint(1, 2))
    for shape in shapes:
        x = draft.argument(*shape)
        draft.add("{0} * {1}", [x, draft.parameter(*(shape if micro == 1 else shape[1:]))], shape)
    kinds = _weighted(draft, micro)
    size = len(draft.statements) + rng.randint(2, 14 if micro == 1 else 5)
    while len(draft.statements) < size:
        before = len(draft.statements)
        x = draft.pick()
        assert x is not None
        made = rng.choice(kinds)(x)
        if made is None or any(_size(s) > LARGEST or 0 in s.shape for s in draft.statements[before:]):
            del draft.statements[before:]
    training = _training(rng, dtype, micro)
    return Program(seed, tuple(draft.statements), _terms(rng, draft), accumulate=micro, **training).pruned()


def _weighted(draft: Draft, micro: int) -> list[Callable[[Statement], Statement | None]]:
    """The ways to draw, each as often as it is to be taken.

    With micro-batches no draws of random numbers, which follow another order, and no batch norm, which looks at each.
    """
    d = draft
    common = [d.pointwise, d.pointwise, d.pointwise, d.binary, d.binary, d.view, d.view, d.reduction, d.product]
    rare = [d.with_parameter, d.reshape, d.join, d.along, d.convolution, d.attention, d.recurrent]
    wide = [
        d.written,
        d.object,
        d.along_an_axis,
        d.integers,
        d.effect,
        d.window,
        d.image,
        d.layers,
        d.matrices,
        d.reduced_loss,
    ]
    alone = [d.dropout, d.normalization] if micro == 1 else []
    return [*common * 2, *rare * 2, d.lookup, d.lookup, d.loss, d.loss, d.number, d.number, *wide * 2, *alone * 2]


def _size(s: Statement) -> int:
    size = 1
    for n in s.shape:
        size *= n
    return size


def _terms(rng: random.Random, draft: Draft) -> tuple[str, ...]:
    """The last value, some others, and one with a gradient."""
    floats = [s for s in draft.floats() if s.code]
    chosen = {floats[-1].name, *(s.name for s in rng.sample(floats, min(len(floats), rng.randint(0, 2))))}
    chosen.add(next(s.name for s in reversed(floats) if s.grad))
    return tuple(s.name for s in floats if s.name in chosen)


def _training(rng: random.Random, dtype: str, micro: int) -> dict[str, object]:
    options: dict[str, object] = {"dtype": dtype, "optimizer": rng.choice(OPTIMIZERS)}
    if dtype == "float32" and rng.random() < 0.2:
        options["autocast"] = rng.choice(["bfloat16", "bfloat16", "float16"])
    if rng.random() < (0.6 if options.get("autocast") else 0.1):
        scales = ["64.0", "1024.0, growth_interval=2"]
        scales += (
            ["2.0**127, backoff_factor=2.0**-120"] if micro == 1 else []
        )  # overflows once; parts of a batch earlier
        options["scaler"] = f'"cpu", init_scale={rng.choice(scales)}'
    if rng.random() < 0.3:
        norms = ["clip_grad_norm_(parameters, 0.5)", "clip_grad_norm_(parameters, 1.0, norm_type=float('inf'))"]
        norms.append("clip_grad_norm_(parameters, 0.5, norm_type=1.0)")
        options["clip"] = rng.choice([*norms, "clip_grad_value_(parameters, 0.1)"])
    if rng.random() < 0.3:
        options |= {"scheduler": rng.choice(SCHEDULERS), "scheduled_inside": rng.random() < 0.5}
    return options
