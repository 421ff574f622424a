"""Training steps of Genesis timed beside those of PyTorch and JAX: ``python -m benchmarks``."""
