"""Genesis runtime: devices, caches and the executor. Of the compiler it knows only the plan it is handed."""
