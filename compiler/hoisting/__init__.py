"""What :mod:`compiler.passes.hoist` does with a loop: sort its values, compute some outside, record the rest."""
