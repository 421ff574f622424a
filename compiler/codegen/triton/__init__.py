"""Triton kernels as source text, and the launches that run them."""
