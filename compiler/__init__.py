"""Genesis compiler: IR, op records, passes and code generation. Never imports ``runtime`` or ``genesis``."""
