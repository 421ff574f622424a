"""The second half of the pass ``fuse``, once nodes are placed in groups: recompute, order, assemble."""
