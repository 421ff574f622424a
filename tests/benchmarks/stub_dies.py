"""A peer whose process dies."""

import os
import sys

print("out of luck", file=sys.stderr, flush=True)
os._exit(3)
