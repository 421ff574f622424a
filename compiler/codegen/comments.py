"""Names of the user in comments of generated text."""


def comment(text: str) -> str:
    r"""``text`` that ends no comment, no string and no line: ``_`` for what does not print and for ``\ * ? "``.

    Names come from attributes, dictionaries and checkpoints: they may hold anything.
    """
    return "".join(c if c.isprintable() and c not in '\\*?"' else "_" for c in text)
