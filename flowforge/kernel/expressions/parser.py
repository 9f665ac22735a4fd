"""Text to syntax tree, with Jinja's own lexer and parser.

One trick: the tokens that Jinja's parser is given carry the character's offset where it expects a line number, so
that every node and every complaint knows its place.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from flowforge.kernel.expressions.errors import ExpressionError, syntax_error

MAX_CHARACTERS = 32_768  # of one expression
MAX_BRACKETS = 32  # open at once: Jinja's parser takes a dozen Python frames for each

_ENVIRONMENT = Environment()  # noqa: S701 -- only its lexer is used, nothing is ever rendered by it
_BAD_ESCAPE = re.compile(r"\\(?!['\"\\bfnrt]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_ESCAPED_PAIR = re.compile(r"\\\\")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_LANDMARK = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|['\"(){}\[\]]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """One expression within a text."""

    text: str  # what stands between the braces
    offset: int  # where it begins in the whole text


def parse(source: Source) -> nodes.Expr:
    """The tree of an expression; each node's `lineno` is its offset in the whole text.

    Raises ExpressionError `expression_syntax`. The tree may hold nodes that the compiler refuses.
    """
    if len(source.text) > MAX_CHARACTERS:
        raise syntax_error(f"the expression is longer than {MAX_CHARACTERS} characters", source.offset)
    try:
        parser = Parser(_ENVIRONMENT, "", state="variable")
        parser.stream = TokenStream(_ENVIRONMENT.lexer.wrap(_tokens(source)), None, None)
        tree = parser.parse_expression()
        parser.stream.expect("eof")
    except TemplateSyntaxError as error:
        raise _translate(error) from None
    except ValueError:  # int() of more digits than Python reads
        raise syntax_error("a number with too many digits", source.offset) from None
    except RecursionError:
        raise syntax_error("the expression is nested too deeply", source.offset) from None
    return tree


def split(text: str) -> list[str | Source]:
    """A text with `{{ … }}` in it as a list of literal parts (maybe empty) and expressions, alternating."""
    parts: list[str | Source] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = _find_end(text, start)
        parts += [text[position:start], Source(text[start + 2 : end], start + 2)]
        position = end + 2
    parts.append(text[position:])
    return parts


def _find_end(text: str, start: int) -> int:
    """Where the `}}` of the `{{` at `start` is: the first that no quotes and no brackets enclose."""
    depth = 0
    for landmark in _LANDMARK.finditer(text, start + 2):
        found = landmark.group()
        if found in "({[":
            depth += 1
        elif found in ")]}":
            if depth == 0:
                if text.startswith("}}", landmark.start()):
                    return landmark.start()
                raise syntax_error(f"unexpected '{found}'", landmark.start())
            depth -= 1
        elif len(found) == 1:
            raise syntax_error("a text that is never closed", landmark.start())
    raise syntax_error("'{{' that is never closed", start)


def _tokens(source: Source) -> Iterator[tuple[int, str, str]]:
    """Jinja's raw tokens, numbered by offset, without those that would leave the expression."""
    position, depth = source.offset, 0
    for kind, text in _raw_tokens(source):
        if kind == "variable_end":
            raise syntax_error("unexpected '}}'", position)
        if kind == "string":
            _check_literal(text, position)
        elif kind == "operator":
            depth += (text in "([{") - (text in ")]}")
            if depth > MAX_BRACKETS:
                raise syntax_error(f"more than {MAX_BRACKETS} brackets within each other", position)
        yield position, kind, text
        position += len(text)


def _raw_tokens(source: Source) -> Iterable[tuple[str, str]]:
    position = source.offset
    try:
        for _, kind, text in _ENVIRONMENT.lexer.tokeniter(source.text, None, state="variable"):
            yield kind, text
            position += len(text)
    except TemplateSyntaxError as error:
        raise syntax_error(_message(error).partition(" at ")[0], position) from None


def _check_literal(literal: str, position: int) -> None:
    """Refuse what JSON can't hold and escapes that Python may read another way tomorrow."""
    bad = _BAD_ESCAPE.search(_ESCAPED_PAIR.sub("  ", literal))
    if bad:
        raise syntax_error("an unknown escape; a backslash itself is written \\\\", position + bad.start())
    try:
        unescaped = literal.encode("ascii", "backslashreplace").decode("unicode-escape")
    except UnicodeDecodeError:
        raise syntax_error("an escape beyond Unicode", position) from None
    if _UNSTORABLE.search(unescaped):
        raise syntax_error("a text with NUL or half a surrogate pair", position)


def _translate(error: TemplateSyntaxError) -> ExpressionError:
    return syntax_error(_message(error), error.lineno)


def _message(error: TemplateSyntaxError) -> str:
    return (error.message or "not an expression").replace("end of template", "end of expression")
