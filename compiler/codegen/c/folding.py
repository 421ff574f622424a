"""Makes a kernel read like one that a person wrote: no names for values used once, no loops of one iteration.

The walk of a body gives every value a name. A name that is read once is replaced by its expression here, with the
brackets that C needs. A name stays where folding would change the meaning or the speed: a value in front of a loop, a
check, a value whose operands are written before it is used, and one that a side of a choice would read from memory,
choose, compare, call or divide for. Such sides keep gcc from vectorising a loop, or make it slow.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from functools import partial

from compiler.codegen.c.writer import WIDTH

_LOOP = re.compile(r" *(?:UNROLL )?for \((?:long|int) (\w+) = 0; \1 < (\d+); (?:\1\+\+|\+\+\1|\1 \+= (\d+))\) ?(.*)")
_ZEROS = (
    (re.compile(r"(^|[(\[]|[,=+] )0 \* \w+(?![\w.\[(])"), r"\g<1>0"),
    (re.compile(r"(^|[(\[]|[,=+] )\w+ \* 0(?![\w.]| [*/%])"), r"\g<1>0"),
    (re.compile(r"(^|[(\[]|[,=] )0 \+ "), r"\1"),
    (re.compile(r" [-+] 0(?=[)\];,]| [-+<])"), ""),
)
"""Products with 0 and sums with it, each with what it amounts to."""
_DEFINITION = re.compile(r"( *)const (\w+) (t\d+|in\d+|j|j0) = (.*);")
_NAME = re.compile(r"\b(?:(?:t|in)\d+|j0?)\b")
_TOKEN = re.compile(r"0x[\w.]+p[-+]\d+\w?|\d[\w.]*(?:(?<=e)[-+]\d+f?)?|\w+|[-+*/%<>=!&|^]+|\S")
_ASSIGNED = re.compile(r"(\w+)(?:\[[^=]*?\])* [-+*/|&^]?= ")
_EFFECT = re.compile(r"(?:^|[;{})]) *(?!for|if)[a-z]\w*\(")  # a call that stands alone
_DEAR = re.compile(r"[\[/%?<>=!]|\w\(")  # memory, a quotient, a call, a choice, a comparison
_HOLDS = {"*": 9, "/": 9, "%": 9, "+": 8, "-": 8, "<<": 7, ">>": 7, "<": 6, ">": 6, "<=": 6, ">=": 6, "==": 6, "!=": 6,
          "&": 5, "^": 5, "|": 5, "&&": 3, "||": 2, "?": 1, ":": 1}  # fmt: skip
"""How tightly operators hold together what they make."""
_NEEDS = {9: (10, 9), 8: (9, 8), 7: (10, 10), 6: (7, 7), 5: (10, 10), 3: (4, 4), 2: (4, 4), 1: (0, 2), 0: (0, 0)}
"""How tightly an operand must hold together without brackets: behind the operator and in front of it."""
_WHOLE = 10  # what holds together as it stands: a name, a call, an element, a cast


def folded(text: str) -> str:
    """``text``, functions in C that define names by lines ``const float t1 = ...;``, with fewer of them.

    Loops of one iteration are left out.
    """
    return _Folding(_straight(text.split("\n"))).text()


def _straight(lines: list[str]) -> list[str]:
    """``lines`` without loops from 0 that end after one iteration: in their bodies, the variable is 0."""
    found: list[str] = []
    inside: list[tuple[str, int, bool]] = []  # the variable of a loop left out, its indent, whether it has braces
    for line in lines:
        indent = len(line) - len(line.lstrip())
        while inside and not inside[-1][2] and not line.startswith("#") and indent <= inside[-1][1]:
            inside.pop()
        if inside and inside[-1][2] and line == " " * inside[-1][1] + "}":
            inside.pop()
            continue
        for name, _, _ in inside:
            line = _zeroed(line, name)
        loop = _LOOP.fullmatch(line)
        if loop is None or int(loop[2]) > int(loop[3] or 1):
            found.append(line[2 * len(inside) :] if line.startswith(" ") else line)
            continue
        while found and found[-1].startswith("#pragma"):
            found.pop()
        if loop[4] in ("", "{"):
            inside.append((loop[1], indent, loop[4] == "{"))
        else:
            found.append(" " * (indent - 2 * len(inside)) + _zeroed(loop[4], loop[1]))
    return found


def _zeroed(line: str, name: str) -> str:
    """``line`` with 0 for ``name``, without sums and products with it."""
    line = re.sub(rf"\b{name}\b", "0", line)
    for pattern, amount in _ZEROS:
        line = pattern.sub(amount, line)
    return line


class _Folding:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.uses: dict[str, list[int]] = defaultdict(list)
        self.starts: dict[str, list[int]] = defaultdict(list)
        self.writes: list[int] = []
        self.gone: set[int] = set()
        for i, line in enumerate(lines):
            if found := _DEFINITION.fullmatch(line):
                self.starts[found[3]].append(i)
                line = found[4]
            elif _ASSIGNED.search(line) or _EFFECT.search(line):
                self.writes.append(i)
            for name in _NAME.findall(line):
                self.uses[name].append(i)

    def text(self) -> str:
        for i in sorted(i for starts in self.starts.values() for i in starts):
            self._fold(i)
        return "\n".join(line for i, line in enumerate(self.lines) if i not in self.gone)

    def _fold(self, i: int) -> None:
        """Put the value that line ``i`` defines where it is used, if it may."""
        found = _DEFINITION.fullmatch(self.lines[i])
        assert found is not None
        indent, kind, name, value = found.groups()
        uses, starts = self.uses[name], self.starts[name]
        later = starts[bisect_right(starts, i) :]  # the same name in a block that follows
        places = uses[bisect_right(uses, i) : bisect_left(uses, later[0]) if later else None]
        checks = "status" in value and len(places) != 1  # it has to be made, and once
        if checks or not (value.isalnum() or self._once(places, indent, kind, value)):
            return
        insert = _zeroed if value == "0" else partial(_inserted, value=value)
        new = {k: insert(self.lines[k], name) for k in places}
        if any(not line or len(line) > WIDTH for line in new.values()) or self._written(i, places, value):
            return
        for used in _NAME.findall(value):
            self.uses[used].remove(i)
            for k in places:
                insort(self.uses[used], k)
        for k, line in new.items():
            self.lines[k] = line
        self.gone.add(i)

    def _once(self, places: list[int], indent: str, kind: str, value: str) -> bool:
        """Whether a value is used at most once, in its block, and with its type: a choice between numbers is an int."""
        if len(places) > 1 or (kind == "int64_t" and "?" in value):
            return False
        return all(re.match(indent + r"(?!for\b|if\b|[ #}])", self.lines[k]) for k in places)

    def _written(self, i: int, places: list[int], value: str) -> bool:
        """Whether something that ``value`` reads may be written between line ``i`` and its last use."""
        first, end = bisect_right(self.writes, i), bisect_left(self.writes, places[-1] if places else i)
        operands = set(re.findall(r"[A-Za-z_]\w*", value))
        for w in self.writes[first:end]:
            line = self.lines[w]
            if operands & set(_ASSIGNED.findall(line)) or ("[" in value and _EFFECT.search(line)):
                return True
        return False


def _inserted(line: str, name: str, value: str) -> str:
    """``line`` with ``value`` for each ``name`` in it; "" where a side of a choice would make something dear of it."""
    parts: list[str] = []
    end = 0
    tokens = list(_TOKEN.finditer(line))
    words = [t[0] for t in tokens]
    chosen = [False]  # whether a choice was met, by depth of brackets
    for k, token in enumerate(tokens):
        word = token[0]
        if word in ("(", "["):
            chosen.append(False)
        elif word in (")", "]"):
            chosen.pop()
        elif word in ("?", "||", "&&"):
            chosen[-1] = True
        elif word in (",", ";"):
            chosen[-1] = False
        elif word == name:
            if any(chosen) and _DEAR.search(value):
                return ""
            bare = _holds(value) >= _needed(words, k) and not (value.startswith("-") and words[k - 1].endswith("-"))
            parts += [line[end : token.start()], value if bare else f"({value})"]
            end = token.end()
    return "".join(parts) + line[end:]


def _holds(value: str) -> int:
    """How tightly an expression holds together."""
    depth, loosest, before = 0, _WHOLE, "("
    for word in _TOKEN.findall(value):
        depth += (word in ("(", "[")) - (word in (")", "]"))
        if not depth and word in _HOLDS and not _is_operator(before):
            loosest = min(loosest, _HOLDS[word])
        before = word
    return loosest


def _needed(words: list[str], k: int) -> int:
    """How tightly an expression must hold together to stand bare in the place of word ``k``."""
    left, right = (words[i] if 0 <= i < len(words) else "" for i in (k - 1, k + 1))
    if left in (")", "!", "~") or (left == "-" and _is_operator(words[k - 2])):
        return _WHOLE
    return max(_NEEDS[_HOLDS.get(left, 0)][0], _NEEDS[_HOLDS.get(right, 0)][1])


def _is_operator(word: str) -> bool:
    return word in _HOLDS or word in ("(", "[", ",", "=", "return") or (word.endswith("=") and word not in _HOLDS)
