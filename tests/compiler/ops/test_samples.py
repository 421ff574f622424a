"""Every record on its samples: the type rule tells what the reference gives, and the text form holds the call."""

from itertools import product

import numpy as np
import pytest

from compiler.interpret import interpret
from compiler.ir.op import OPS
from compiler.ir.verify import verify
from compiler.text.compare import difference
from compiler.text.parser import parse_graph
from compiler.text.printer import print_graph
from tests.samples import STRUCTURE, Sample, arguments, assert_same, each, sample_graph, samples, type_of, with_gradient


def test_every_op_has_samples() -> None:
    assert {s.op for s in samples()} == OPS.keys() - set(STRUCTURE)


def test_names_of_samples_are_unique() -> None:
    ids = [s.id for s in samples()]
    assert sorted(set(ids)) == sorted(ids)


NUMBERS = ("update_scale", "count_step", "nadam_product", "asgd_rate", "asgd_share", "high_half", "low_half")
"""Ops on numbers that are f32 whatever the tensors are, or on f32 alone."""


@pytest.mark.parametrize("op", sorted(OPS.keys() - set(STRUCTURE)))
def test_float_ops_have_16_bit_samples(op: str) -> None:
    dtypes = [{x.dtype.name for x in s.arrays} for s in samples() if s.op == op]
    if any("float32" in d for d in dtypes) and op not in NUMBERS:
        assert any(d & {"float16", "bfloat16"} for d in dtypes)


@each
def test_the_type_rule_tells_what_the_reference_gives(sample: Sample) -> None:
    graph = verify(sample_graph(sample))
    before = [x.copy() for x in sample.arrays]
    results, _ = interpret(graph, sample.arrays)
    assert [type_of(r) for r in results] == [v.type for v in graph.outputs]
    for array, copy in zip(sample.arrays, before, strict=True):
        assert_same(array, copy, why="the op changed its operand")


@each
def test_the_text_form_reads_back(sample: Sample) -> None:
    graph = with_gradient(sample_graph(sample))
    again = parse_graph(print_graph(graph))
    assert difference(graph, again) is None
    assert print_graph(again) == print_graph(graph)


def test_cotangents_are_drawn_once() -> None:
    sample = next(s for s in samples() if s.op == "linear")
    graph = with_gradient(sample_graph(sample))
    first, second = arguments(sample, graph), arguments(sample, graph)
    assert len(first) == len(graph.params) == len(sample.arrays) + 1
    np.testing.assert_array_equal(first[-1], second[-1])


@each(among=lambda op: OPS[op].spreads)
def test_what_an_op_that_spreads_reads_shows_in_its_results(sample: Sample) -> None:
    graph = sample_graph(sample)
    for number, (k, x) in product((np.inf, -np.inf, np.nan), enumerate(sample.arrays)):
        if x.dtype.kind not in "fV" or not x.size:
            continue
        bad = x.copy()
        bad.flat[x.size // 2] = number
        results, _ = interpret(graph, [*sample.arrays[:k], bad, *sample.arrays[k + 1 :]])
        floats = [r.astype(np.float64) for r in results if r.dtype.kind in "fV"]
        if floats and all(r.size for r in floats):
            assert not all(np.isfinite(r).all() for r in floats)
