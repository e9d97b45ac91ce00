"""What the shell reads at a place in a command: a word, text in quotes, a here-document. Pure.

It is a guess where a command is odd, and is made for what only asks how a word stays one: what is put there must do no
harm wherever it is. Shells: what POSIX says, and of bash, ksh and zsh what their users write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MARK = "\0"
"""Stands in the text for each place that is asked for."""

PLAIN = "plain"
DOUBLE = "double"
"""Within double quotes, or where they would be text, as in a here-document."""
SINGLE = "single"
ANSI = "ansi"
"""Within ``$'…'``."""
COMPUTED = "computed"
"""Within arithmetic, as in ``$((…))``."""
TEXT = "text"
"""Within a here-document in which the shell replaces nothing."""

_BRACE, _DOC = "brace", "doc"
_NEAR = 80
"""Characters before a word that are looked at, to tell whether a command begins."""
_BEFORE_COMMENT = " \t\n;&|()`"
_COMMAND = re.compile(r"(?:^|[;&|(\n`{!]|\b(?:then|do|else|elif|if|while|until|time))[ \t]*$")
_CASE = re.compile(r"(case|esac)(?![\w-])")
_DELIMITER = re.compile(r"""[ \t]*((?:'[^']*'|"[^"]*"|\\.|[^\s;&|<>()])+)""")
_PARAMETER = re.compile(r"[#!]?(?:\w+|[@*?$!-])?")
_PATTERN_OF = "#%/^,"


@dataclass(slots=True)
class _Frame:
    """What is open: a command, quotes, braces, arithmetic, a here-document."""

    kind: str
    end: str = ""
    """What ends it; of a here-document the line."""
    start: int = 0
    depth: int = 0
    """Parentheses that are open in arithmetic; ``case`` without ``esac`` in a command."""
    computes: bool = False
    """Of braces: whether they take a part, as in ``${x:1}``."""
    quotes: bool = False
    """Of braces: whether quotes in there are quotes, whatever is around."""
    is_text: bool = False
    """Of a here-document: whether nothing in there is replaced."""
    strips: bool = False
    """Of a here-document: whether tabs at the beginning of a line do not count."""
    docs: list[_Frame] = field(default_factory=list)
    """Of a command: here-documents that begin with the next line."""


def contexts(text: str) -> list[str]:
    """What the shell reads at each MARK in a command."""
    reader = _Reader(text)
    while reader.at < len(text):
        reader.step()
    return [reader.found.get(at, PLAIN) for at, char in enumerate(text) if char == MARK]


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[int, str] = {}
        """What is read at each MARK, by its place; a word where there is nothing, as in a comment."""
        self.frames = [_Frame(PLAIN)]
        self._steps = {
            PLAIN: self._in_command,
            SINGLE: self._in_single,
            ANSI: self._in_ansi,
            DOUBLE: self._in_double,
            _BRACE: self._in_braces,
            COMPUTED: self._in_arithmetic,
            _DOC: self._in_document,
        }

    def step(self) -> None:
        """Read one character, or a few that belong together."""
        frame, char = self.frames[-1], self.text[self.at]
        if char == MARK:
            self.found[self.at] = self._context()
        self.at += 1
        self._steps[frame.kind](frame, char)

    def _context(self) -> str:
        frame = self.frames[-1]
        if frame.kind == _DOC:
            return TEXT if frame.is_text else DOUBLE
        if frame.kind == _BRACE:
            return self._context_in_braces(frame)
        return frame.kind

    def _context_in_braces(self, frame: _Frame) -> str:
        if frame.computes or any(one.kind == COMPUTED for one in self._around()):
            return COMPUTED
        return DOUBLE if self._is_quoted() and not frame.quotes else PLAIN

    def _around(self) -> list[_Frame]:
        """What is open up to the command that it is in, the innermost last."""
        start = max(n for n, frame in enumerate(self.frames) if frame.kind == PLAIN)
        return self.frames[start + 1 :]

    def _is_quoted(self) -> bool:
        return any(frame.kind in (DOUBLE, _DOC) for frame in self._around())

    def _push(self, kind: str, end: str = "", skip: int = 0) -> _Frame:
        self.at += skip
        self.frames.append(_Frame(kind, end, self.at))
        return self.frames[-1]

    def _pop(self) -> None:
        docs = self.frames.pop().docs
        for frame in reversed(self.frames):  # ``$(cat <<E)``: the document follows the line
            if frame.kind == PLAIN:
                frame.docs += docs
                break

    def _next(self, text: str) -> bool:
        return self.text.startswith(text, self.at)

    # -- what may begin in many places

    def _opens(self, char: str) -> bool:
        """Open what the shell replaces, where ``char`` begins it."""
        if char == "`":
            self._push(PLAIN, "`")
        elif char != "$":
            return False
        elif self._next("(("):
            self._push(COMPUTED, ")", 2)
        elif self._next("("):
            self._push(PLAIN, ")", 1)
        elif self._next("["):
            self._push(COMPUTED, "]", 1)
        elif self._next("{"):
            self._open_braces()
        else:
            return False
        return True

    def _open_braces(self) -> None:
        frame = self._push(_BRACE, skip=1)
        name = _PARAMETER.match(self.text, self.at)
        assert name is not None  # it matches nothing, too
        self.at = name.end()
        after = self.text[self.at : self.at + 2]
        frame.quotes = after[:1] != "" and after[0] in _PATTERN_OF
        frame.computes = after[:1] == "[" or (after[:1] == ":" and after[1:] not in tuple("-=?+"))

    # -- what stands in each

    def _in_command(self, frame: _Frame, char: str) -> None:
        before = self.text[self.at - 2] if self.at > 1 else "\n"
        starts = self.at - 1 == frame.start
        if char == "\\":
            self.at += 1
        elif char == frame.end and not (char == ")" and frame.depth):
            self._pop()
        elif char == "'":
            self._push(SINGLE)
        elif char == '"':
            self._push(DOUBLE)
        elif char == "$" and self._next("'"):
            self._push(ANSI, skip=1)
        elif self._opens(char):
            pass
        elif char == "#" and (starts or before in _BEFORE_COMMENT):
            self._skip_comment()
        elif char == "(":
            self._parenthesis(frame)
        elif char == "<" and self._next("<"):
            self._here(frame)
        elif char == "\n" and frame.docs:
            self.frames.extend(reversed(frame.docs))
            frame.docs = []
            self._end_document()
        elif char in "ce" and (starts or not (before.isalnum() or before in "_-")):
            self._word(frame)

    def _skip_comment(self) -> None:
        """Stop before the end of a comment."""
        ends = "\n`" if any(frame.end == "`" for frame in self.frames) else "\n"
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1

    def _parenthesis(self, frame: _Frame) -> None:
        if self._next("(") and self._begins_command(frame):
            self._push(COMPUTED, ")", 1)
        else:
            self._push(PLAIN, ")")

    def _begins_command(self, frame: _Frame) -> bool:
        """Whether what begins with the character that was read is the name of a command."""
        return _COMMAND.search(self.text[max(frame.start, self.at - _NEAR) : self.at - 1]) is not None

    def _word(self, frame: _Frame) -> None:
        """Count ``case`` and ``esac``: between them a ``)`` ends a pattern."""
        word = _CASE.match(self.text, self.at - 1)
        if word is None:
            return
        if word[1] == "esac":
            frame.depth = max(0, frame.depth - 1)
        elif self._begins_command(frame):
            frame.depth += 1
        self.at = word.end()

    def _here(self, frame: _Frame) -> None:
        """A ``<<`` announces a here-document."""
        self.at += 1
        if self._next("<"):  # ``<<<`` is followed by a word
            self.at += 1
            return
        strips = self._next("-")
        word = _DELIMITER.match(self.text, self.at + strips)
        if word is None:
            return
        self.found |= {at: TEXT for at in range(word.start(), word.end()) if self.text[at] == MARK}
        end = re.sub(r"""['"]|\\(?=.)""", "", word[1])
        frame.docs.append(_Frame(_DOC, end, is_text=end != word[1], strips=strips))
        self.at = word.end()

    def _in_document(self, frame: _Frame, char: str) -> None:
        if char == "\n":
            self._end_document()
        elif frame.is_text:
            pass
        elif char == "\\":
            self.at += 1
        else:
            self._opens(char)

    def _end_document(self) -> None:
        """At the beginning of a line: end here-documents of which it is the last one."""
        while (frame := self.frames[-1]).kind == _DOC:
            end = (self.text + "\n").index("\n", self.at)
            line = self.text[self.at : end]
            if (line.lstrip("\t") if frame.strips else line) != frame.end:
                return
            self.frames.pop()
            self.at = min(len(self.text), end + (self.frames[-1].kind == _DOC))

    def _in_single(self, _frame: _Frame, char: str) -> None:
        if char == "'":
            self._pop()

    def _in_ansi(self, _frame: _Frame, char: str) -> None:
        if char == "\\":
            self.at += 1
        elif char == "'":
            self._pop()

    def _in_double(self, _frame: _Frame, char: str) -> None:
        if char == "\\":
            self.at += 1
        elif char == '"':
            self._pop()
        else:
            self._opens(char)

    def _in_braces(self, frame: _Frame, char: str) -> None:
        if char == "\\":
            self.at += 1
        elif char == "}":
            self._pop()
        elif char == '"':
            self._push(DOUBLE)
        elif char == "'" and (frame.quotes or not self._is_quoted()):
            self._push(SINGLE)
        else:
            self._opens(char)

    def _in_arithmetic(self, frame: _Frame, char: str) -> None:
        if char == "\\":
            self.at += 1
        elif char == "(":
            frame.depth += 1
        elif char == ")" and frame.depth:
            frame.depth -= 1
        elif char == frame.end == "]":
            self._pop()
        elif char == frame.end and self._next(")"):
            self.at += 1
            self._pop()
        elif char == frame.end:  # it was a command after all, with one in parentheses at its beginning
            self.frames[-1] = _Frame(PLAIN, ")", self.at)
        else:
            self._opens(char)
