"""What can go wrong with an expression: one exception, four codes."""

from typing import Literal

Code = Literal["expression_syntax", "expression_error", "expression_undefined", "expression_budget"]


class ExpressionError(Exception):
    """An expression that doesn't parse or can't be evaluated.

    `code` is stable and becomes the step's error code; `position` counts characters from the start of the text
    that was compiled (line ends counted as one), None where no place is known.
    """

    def __init__(self, code: Code, message: str, position: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position


def syntax_error(message: str, position: int | None = None) -> ExpressionError:
    """The text is no expression of this language; found when it is compiled, so when a definition is saved."""
    return ExpressionError("expression_syntax", message, position)


def evaluation_error(message: str) -> ExpressionError:
    """The expression is fine, these values are not."""
    return ExpressionError("expression_error", message)


def budget_error(message: str) -> ExpressionError:
    """The evaluation would take more steps, memory or depth than it may."""
    return ExpressionError("expression_budget", message)
