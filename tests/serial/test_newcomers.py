"""Ops that the serial target has never seen, from their records, a spelling and samples alone."""

import pytest

from tests.compiler.newcomers import family as family
from tests.compiler.newcomers import newcomers, together
from tests.samples import arguments, sample_graph, with_gradient
from tests.serial.compare import TOLERANCE, compare
from tests.serial.emit import Unit


@pytest.mark.usefixtures("family")
def test_newcomers() -> None:
    unit = Unit()
    graphs = [(s.id, with_gradient(sample_graph(s)), s) for s in newcomers()]
    cases = [(name, graph, arguments(s, graph), unit.add(graph)) for name, graph, s in graphs]
    graph, arrays = together()
    cases.append(("together", graph, arrays, unit.add(graph)))
    unit.build()
    for name, graph, arrays, step in cases:
        compare(graph, arrays, step, TOLERANCE, name)
