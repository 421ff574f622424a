"""The text form of the IR: printer, grammar, parser."""
