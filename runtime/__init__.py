"""Genesis runtime: devices, caches and the executor. It knows only the compiler's plan."""
