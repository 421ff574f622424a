"""Sample inputs for every op: one table that drives the tests of the records, the passes and the executors.

Each family of ops has a file. A new op without an entry fails ``tests/compiler/ops/test_samples.py``.
"""

import compiler.ops.all  # noqa: F401
from tests.samples import (  # noqa: F401
    elementary,
    indices,
    networks,
    pointwise,
    products,
    reductions,
    resample,
    scans,
    training,
    views,
    windows,
)
from tests.samples.graphs import AUXILIARY as AUXILIARY
from tests.samples.graphs import STRUCTURE as STRUCTURE
from tests.samples.graphs import arguments as arguments
from tests.samples.graphs import assert_same as assert_same
from tests.samples.graphs import interpreted as interpreted
from tests.samples.graphs import sample_graph as sample_graph
from tests.samples.graphs import wanted as wanted
from tests.samples.graphs import with_gradient as with_gradient
from tests.samples.table import Draw as Draw
from tests.samples.table import Sample as Sample
from tests.samples.table import each as each
from tests.samples.table import op_names as op_names
from tests.samples.table import samples as samples
from tests.samples.table import samples_of as samples_of
from tests.samples.table import type_of as type_of
