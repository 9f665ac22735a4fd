"""How much one evaluation may do, counted before it is done.

Two counters bound time and memory together: every loop spends steps for what it reads, everything that is built is
paid for before it is allocated. Nothing is given back: what counts is the total, not what is alive at a moment.
"""

from flowforge.kernel.expressions.errors import budget_error

MAX_STEPS = 100_000  # nodes of the expression evaluated, items looped over, 256 characters of text read
MAX_SIZE = 8 * 1024 * 1024  # characters of text built + ITEM_SIZE for every item of a list or an object
MAX_DEPTH = 64  # how deep values and expressions nest; that of JSON at the API's door
ITEM_SIZE = 32
_TEXT_STEP = 256  # characters that are read (compared, searched, hashed) in about the time of one step


class Budget:
    """The account of one evaluation, used by one thread."""

    __slots__ = ("size_left", "steps_left")

    def __init__(self, *, steps: int = MAX_STEPS, size: int = MAX_SIZE) -> None:
        self.steps_left = steps
        self.size_left = size

    def spend(self, steps: int) -> None:
        """Pay for work. Raises ExpressionError `expression_budget`."""
        self.steps_left -= steps
        if self.steps_left < 0:
            raise budget_error(f"the expression takes more than {MAX_STEPS} steps")

    def read(self, text: str, times: int = 1) -> None:
        """Pay for going `times` through a text without building one."""
        self.spend(times * (1 + len(text) // _TEXT_STEP))

    def build(self, size: int) -> None:
        """Pay for `size` characters that are about to be allocated."""
        self.size_left -= size
        if self.size_left < 0:
            raise budget_error(f"the expression builds more than {MAX_SIZE} bytes")

    def build_items(self, count: int) -> None:
        """Pay for a list or an object of `count` items that is about to be allocated."""
        self.size_left -= count * ITEM_SIZE
        if self.size_left < 0:
            raise budget_error(f"the expression builds more than {MAX_SIZE} bytes")
