"""Guards: what a compiled program depends on besides its arguments, and how a call tells that it changed."""
