"""Errors of the parser about texts that are no graphs. The messages are in golden/text/errors.txt."""

from collections.abc import Callable

import pytest

from compiler.errors import GenesisError, ParseError
from compiler.text.parser import parse_graph

BODIES = {
    "unknown op": "%0: f32[4] = rellu(%x)",
    "unknown op without a close match": "%0: f32[4] = zzz(%x)",
    "unknown attribute with a close match": '%0: f32[4] = gelu(%x) {aproximate="tanh"}',
    "unknown attribute of an op with some": '%0: f32[4] = gelu(%x) {mode="tanh"}',
    "unknown attribute of an op without any": "%0: f32[4] = relu(%x) {inplace=true}",
    "missing attribute": "%0: f32[4] = softmax(%x)",
    "repeated attribute": "%0: f32[4] = softmax(%x) {axis=0, axis=0}",
    "empty attributes": "%0: f32[4] = relu(%x) {}",
    "unknown word for an attribute": "%0: f32[4] = cast(%x) {to=float}",
    "attribute without a value": "%0: f32[4] = softmax(%x) {axis}",
    "attribute of a wrong type": "%0: f32[4] = cast(%x) {to=3}",
    "attribute that the op refuses": "%0: f32[4] = softmax(%x) {axis=1}",
    "results of another type": "%0: f32[5] = relu(%x)  # train.py:3",
    "too few results": "%0: f32[] = cross_entropy(%x, %n)",
    "operands that do not fit": "%0: f32[4] = matmul(%x, %k)",
    "undefined value": "%0: f32[4] = relu(%xy)",
    "value used before its definition": "%0: f32[4] = relu(%1)\n  %1: f32[4] = relu(%x)",
    "value defined twice": "%0: f32[4] = relu(%x)\n  %0: f32[4] = relu(%x)",
    "input defined twice": "input %x: f32[4]",
    "input below an op": "%0: f32[4] = relu(%x)\n  input %y: f32[4]",
    "op below return": "return %x\n  %0: f32[4] = relu(%x)",
    "unknown kind of input": "output %y: f32[4]",
    "type without brackets": "%0: f32 = relu(%x)",
    "unknown element type": "%0: float[4] = relu(%x)",
    "missing colon": "%0 f32[4] = relu(%x)",
    "unclosed operands": "%0: f32[4] = relu(%x",
    "unclosed string": '%0: f32[4] = gelu(%x) {approximate="tanh}',
    "broken escape": '%0: f32[4] = gelu(%x) {approximate="\\q"}',
    "comment behind an op": "%0: f32[4] = relu(%x)  # max(x, 0)",
    "strange character": "%0: f32[4] = relu(%x);",
    "tab before the mistake": "\t\t%0: f32[4] = relu(%\t)",
    "update of an input": "update %x = %x",
    "update of another type": "update %w = %x",
    "state updated twice": "update %w = %w\n  update %w = %w",
    "body with another input": '%0: f32[4] = fused(%x) {kind="row"} @k {\n    input %y: f32[5]\n    return %y\n  }',
    "body with another output": '%0: f32[5] = fused(%x) {kind="row"} @k {\n    input %y: f32[4]\n    return %y\n  }',
    "mistake in a body": '%0: f32[4] = fused(%x) {kind="row"} @k {\n    input %y: f32[4]\n    return %x\n  }',
    "wrong op in a body": (
        '%0: f32[4] = fused(%x) {kind="row"} @k {\n    input %y: f32[4]\n    %0: f16[4] = relu(%y)\n    return %0\n  }'
    ),
    "body without a name": '%0: f32[4] = fused(%x) {kind="row"} {\n  }',
}
TEXTS = {
    "empty text": "",
    "only a comment": "# nothing\n",
    "no graph": "module @m {\n}\n",
    "graph name without @": "graph step {\n}\n",
    "unclosed graph": "graph @step {\n  input %x: f32[4]\n\n",
    "two graphs": "graph @a {\n}\ngraph @b {\n}\n",
    "file without a path": "file train.py\ngraph @a {\n}\n",
}


def whole(body: str) -> str:
    return (
        f"graph @step {{\n  state %w: f32[2]\n  input %x: f32[4]\n  input %k: i64[4]\n  input %n: i64[]\n  {body}\n}}\n"
    )


def message(text: str) -> str:
    with pytest.raises(ParseError) as caught:
        parse_graph(text, "step.gir")
    return str(caught.value)


def test_every_message(golden: Callable[[str, str], None]) -> None:
    texts = {**{name: whole(body) for name, body in BODIES.items()}, **TEXTS}
    golden("text/errors.txt", "\n\n".join(f"== {name}\n{message(text)}" for name, text in texts.items()) + "\n")


@pytest.mark.parametrize("name", BODIES)
def test_a_message_points_into_its_text(name: str) -> None:
    text = whole(BODIES[name])
    place, shown, caret = message(text).splitlines()
    file, line, column, _ = place.split(":", 3)
    assert file == "step.gir"
    assert shown == "    " + text.splitlines()[int(line) - 1].rstrip()
    assert caret.strip() == "^" and caret.index("^") == 4 + int(column) - 1


def test_the_error_is_a_syntax_error_too() -> None:
    with pytest.raises(SyntaxError, match=r"<text>:1:1: expected"):
        parse_graph("oops")
    assert issubclass(ParseError, GenesisError)


def test_the_first_of_several_mistakes_is_reported() -> None:
    body = "\n  ".join(f"%{i}: f32[{4 if i < 5 else 9}] = relu(%x)" for i in range(20))
    assert message(whole(body)).startswith("step.gir:11:3: results are typed f32[9]")


def test_lines_that_end_as_on_windows() -> None:
    text = whole("%0: f32[4] = rellu(%x)").replace("\n", "\r\n")
    assert message(text) == message(text.replace("\r\n", "\n"))
