"""A peer that raises."""

raise RuntimeError("no such instruction\n(details)")
