"""Every pass on every op: the meaning of the op and of its gradients stays."""

from compiler.interpret import interpret
from compiler.ir.graph import Graph
from compiler.ir.op import OPS
from compiler.ir.verify import verify
from compiler.passes.autodiff import autodiff
from compiler.passes.cse import cse
from compiler.passes.expand import expand
from compiler.passes.fuse import fuse
from compiler.passes.remat import remat
from compiler.passes.simplify import simplify
from compiler.passes.split_reductions import split_reductions
from tests.compiler.passes.graphs import BLAS, assert_fused, assert_same_meaning, assert_same_results
from tests.samples import Sample, arguments, each, sample_graph, with_gradient


@each
def test_simplify_cse_fuse_and_remat_keep_the_meaning(sample: Sample) -> None:
    """Bit for bit, gradients included; each takes what the one before it made."""
    graph = expand(autodiff(with_gradient(sample_graph(sample))))
    inputs = arguments(sample, graph)
    expected = interpret(graph, inputs)

    def kept(after: Graph) -> Graph:
        verify(after)
        assert_same_results(expected, interpret(after, inputs), (graph, after))
        return after

    lowered = kept(cse(kept(simplify(graph))))
    kept(remat(lowered))
    fused = kept(fuse(lowered))
    assert_fused(fused)


@each(among=lambda op: OPS[op].expand is not None)
def test_expand_keeps_the_meaning(sample: Sample) -> None:
    """Bit for bit, except for products whose reference calls BLAS in another way."""
    graph = sample_graph(sample)
    after = expand(graph)
    unit = {"f16": 2.0**-10, "bf16": 2.0**-7}.get(graph.outputs[0].dtype.short, 2.0**-20)
    tolerance = unit if sample.op in BLAS else 0.0
    assert_same_meaning(graph, after, sample.arrays, tolerance, tolerance)
    assert not [n for n in after.nodes if n.op.expand is not None]


@each(among=lambda op: OPS[op].join is not None)
def test_split_reductions_keeps_the_meaning(sample: Sample) -> None:
    graph = sample_graph(sample)
    assert_same_meaning(graph, split_reductions(graph), sample.arrays, 2.0**-20, 2.0**-20)
