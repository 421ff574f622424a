"""What the pass ``fuse`` does once nodes are placed in groups: recompute, order, assemble."""
