"""A compiled step: what finds, compiles, runs, shows, changes and watches its programs."""
