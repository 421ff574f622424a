"""Triton kernels: source text, ahead-of-time compilation to cubin, and interpretation on NumPy memory."""
