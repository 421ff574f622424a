"""``python -m genesis``: the command ``genesis``."""

import sys

from genesis.commands import main

if __name__ == "__main__":
    sys.exit(main())
