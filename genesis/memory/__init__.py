"""Memory and views of it: cells, strides, and how views show a cell and write through it."""
