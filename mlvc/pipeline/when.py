"""Conditions of ``when``: read by Python's grammar, and never executed. Pure."""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mlvc.pipeline import template
from mlvc.pipeline.place import Trouble, kind
from mlvc.pipeline.template import Reference
from mlvc.pipeline.variables import ENV, Names

_LONGEST = 1000
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None, "none": None}
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_HINT = "it may have variables, numbers, text in quotes, == != < <= > >=, and, or, not, in, and parentheses"
_STANDS = re.compile(r"__template_(\d+)__")


_TRUTHS = dict.fromkeys(("true", "yes", "y", "on", "1"), True) | dict.fromkeys(("false", "no", "n", "off", "0"), False)
"""Text that is true or false where one of them belongs: a variable of the environment has nothing but text."""
_TEXTS = "of text, true, yes, y, on and 1 hold, and false, no, n, off and 0 do not"


def holds(condition: object, names: Names) -> bool:
    """Whether ``condition`` holds; Trouble for what is not one, and for what it names and is not there."""
    found = _value(condition, names) if isinstance(condition, str) else condition
    if not isinstance(found, bool):
        shown = f"'{found}'" if isinstance(found, str | int | float) else kind(found)
        hint = _TEXTS if isinstance(found, str) else _HINT
        raise Trouble(f"the condition of 'when' must be true or false, and this is {shown}", hint=hint)
    return found


def _value(condition: str, names: Names) -> Any:
    text, references = _with_names(condition)
    try:
        return _Condition(names, references).meant(_parsed(text, condition))
    except RecursionError:
        raise _not_one(condition) from None


@lru_cache(maxsize=256)
def _with_names(condition: str) -> tuple[str, tuple[Reference, ...]]:
    """The condition with a name of Python for each template, and what they stand for: their values stay values."""
    references: list[Reference] = []
    parts: list[str] = []
    for part in template.split(condition):
        if isinstance(part, Reference):
            parts.append(f"__template_{len(references)}__")
            references.append(part)
        else:
            parts.append(part)
    return "".join(parts), tuple(references)


@lru_cache(maxsize=256)
def _parsed(text: str, condition: str) -> ast.expr:
    if len(text) > _LONGEST:
        raise Trouble(f"the condition of 'when' is longer than {_LONGEST} characters")
    try:
        with warnings.catch_warnings():  # `1or` is a warning of Python, which nobody asked for
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _not_one(condition) from None


def _not_one(text: str) -> Trouble:
    return Trouble(f"`{text}` is not a condition", hint=_HINT)


@dataclass(frozen=True, slots=True)
class _Condition:
    names: Names
    references: tuple[Reference, ...]

    def meant(self, node: ast.expr) -> Any:
        """The value of what must be true or false: text that means one of them is that one."""
        value = self.value(node)
        if self._is_of_environment(node) and not isinstance(value, bool):
            value = template.text_of(value)  # the default of a template may be the number 1
        if isinstance(value, str) and not isinstance(node, ast.Constant):
            return _TRUTHS.get(value.strip().lower(), value)
        return value

    def value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            return self._both(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return not self._truth(node.operand)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand)
        if isinstance(node, ast.Compare):
            return self._compared(node)
        if isinstance(node, ast.List | ast.Tuple):
            return [self.value(item) for item in node.elts]
        return self._constant(node) if isinstance(node, ast.Constant) else self._named(node)

    def _both(self, node: ast.BoolOp) -> bool:
        if isinstance(node.op, ast.And):
            return all(self._truth(item) for item in node.values)
        return any(self._truth(item) for item in node.values)

    def _truth(self, node: ast.expr) -> bool:
        value = self.meant(node)
        if not isinstance(value, bool):
            hint = _TEXTS if isinstance(value, str) else ""
            raise Trouble(
                f"`{self._written(node)}` must be true or false in a condition, and it is {kind(value)}", hint=hint
            )
        return value

    def _number(self, node: ast.expr) -> Any:
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Trouble(f"`{self._written(node)}` must be a number after '-', and it is {kind(value)}")
        return value

    def _compared(self, node: ast.Compare) -> bool:
        sides = [node.left, *node.comparators]
        values = [self.value(node.left)]
        for at, test in enumerate(node.ops):
            values.append(self.value(sides[at + 1]))
            left = self._like(sides[at], values[at], values[at + 1], node)
            right = self._like(sides[at + 1], values[at + 1], values[at], node)
            if not self._compare(test, left, right, node):
                return False
        return True

    def _like(self, side: ast.expr, value: Any, other: Any, node: ast.expr) -> Any:
        """Text that is compared with true, false or a number as one of these, where that can be what is meant.

        Trouble for what else the environment has: it would never be equal, without a word.
        """
        if not isinstance(value, str) or not isinstance(other, bool | int | float) or isinstance(side, ast.Constant):
            return value
        if isinstance(other, bool):
            value = _TRUTHS.get(value.strip().lower(), value)
        elif self._is_of_environment(side):
            with suppress(ValueError):
                value = float(value)
        if isinstance(value, str) and self._is_of_environment(side):
            hint = _TEXTS if isinstance(other, bool) else ""
            raise Trouble(f"`{self._written(node)}` compares the text '{value}' with {kind(other)}", hint=hint)
        return value

    def _is_of_environment(self, node: ast.expr) -> bool:
        try:
            steps = self._steps(node)
        except Trouble:
            return False
        found = _STANDS.fullmatch(steps[0])
        if found is not None and int(found[1]) < len(self.references):
            steps = list(self.references[int(found[1])].steps)
        return steps[0] == ENV and ENV not in self.names.local and ENV not in self.names.variables().values

    def _compare(self, test: ast.cmpop, left: Any, right: Any, node: ast.expr) -> bool:
        if isinstance(test, ast.Eq | ast.NotEq):
            return bool(left == right) is isinstance(test, ast.Eq)
        if isinstance(test, ast.In | ast.NotIn):
            if not isinstance(right, list) and not (isinstance(left, str) and isinstance(right, str | dict)):
                raise Trouble(f"`{self._written(node)}` asks whether something is in {kind(right)}")
            return (left in right) is isinstance(test, ast.In)
        order = _ORDER.get(type(test))
        if order is None:
            raise _not_one(self._written(node))
        numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
        if not numbers and not (isinstance(left, str) and isinstance(right, str)):
            raise Trouble(f"`{self._written(node)}` compares {kind(left)} with {kind(right)}")
        return order(left, right)

    def _constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, str):
            return _STANDS.sub(lambda found: template.text_of(self._reference(found[0])), node.value)
        if node.value is None or isinstance(node.value, bool | int | float):
            return node.value
        raise _not_one(self._written(node))

    def _named(self, node: ast.expr) -> Any:
        steps = self._steps(node)
        if len(steps) == 1 and _STANDS.fullmatch(steps[0]):
            return self._reference(steps[0])
        try:
            return self.names.value(steps)
        except LookupError:
            if len(steps) == 1 and steps[0].lower() in _WORDS:
                return _WORDS[steps[0].lower()]
            raise self.names.missing(self._written(node), steps) from None

    def _reference(self, name: str) -> Any:
        found = _STANDS.fullmatch(name)
        if found is None or int(found[1]) >= len(self.references):
            raise _not_one(name)
        return self.names.find(self.references[int(found[1])])

    def _steps(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.Name):
            return [node.id]
        if isinstance(node, ast.Attribute):
            return [*self._steps(node.value), node.attr]
        if isinstance(node, ast.Subscript):
            index = self.value(node.slice)
            if isinstance(index, str | int) and not isinstance(index, bool):
                return [*self._steps(node.value), str(index)]
        raise _not_one(self._written(node))

    def _written(self, node: ast.AST) -> str:
        return _STANDS.sub(lambda found: self._text(found[0]), ast.unparse(node))

    def _text(self, name: str) -> str:
        number = int(name.strip("_").rpartition("_")[2])
        return self.references[number].text if number < len(self.references) else name
