"""The op records, one file per family. ``compiler.ops.all`` registers every family."""
