"""The intermediate representation: types, locations, graphs, op records, builder, verifier."""
