"""Machine code from Triton text, and what runs it without a GPU. Nothing here is imported unless a step needs it."""
