"""Training scripts as people write them for PyTorch; each asserts that it learns."""
