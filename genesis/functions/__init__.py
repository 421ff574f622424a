"""The functions of the top level (``genesis.softmax``), which are also the Tensor methods of the same names.

Every function takes tensors or numbers, records ops through the one op set, and wraps the result. Names, arguments
and errors are PyTorch's; shapes broadcast and dtypes promote as there.
"""

# ruff: noqa: F403

from genesis.functions.calls import check_all
from genesis.functions.control import *
from genesis.functions.conversion import *
from genesis.functions.creation import *
from genesis.functions.gathering import *
from genesis.functions.indexing import *
from genesis.functions.methods import attach
from genesis.functions.pointwise import *
from genesis.functions.products import *
from genesis.functions.reductions import *
from genesis.functions.shapes import *

check_all(globals(), "genesis.functions")
attach(globals())
