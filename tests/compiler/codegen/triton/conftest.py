"""The process that interprets kernels, as for the tests of what runs them."""

import triton

from tests.runtime.triton.conftest import interpret as interpret
from tests.runtime.triton.conftest import worker as worker

if not triton.__version__.startswith("3.9."):  # the release the interpreter's corrections are for
    collect_ignore_glob = ["test_*.py"]
