"""What a model's tokens cost, by the operator's table."""

from collections.abc import Iterable, Mapping
from typing import Final

_PER: Final = 1_000_000

Prices = Mapping[str, tuple[float, float]]
"""Model -> price of a million tokens (in, out); `gpt-5*` is every model whose name begins so."""


def parse(entries: Iterable[str]) -> Prices:
    """From `model=in/out`. Raises ValueError, with a message for people."""
    found: dict[str, tuple[float, float]] = {}
    for entry in entries:
        model, _, prices = entry.strip().rpartition("=")
        before, slash, after = prices.partition("/")
        try:
            found[model] = (float(before), float(after))
        except ValueError:
            slash = ""
        if not model or not slash or min(found[model]) < 0:
            raise ValueError(f"a model's price is written model=in/out, per million tokens, not {entry!r}")
    return found


def cost_of(prices: Prices, model: str, input_tokens: int | None, output_tokens: int | None) -> float | None:
    """None where the price or the tokens are not known. Whole names go before beginnings, longer ones first."""
    fitting = [name for name in prices if name == model or (name.endswith("*") and model.startswith(name[:-1]))]
    if not fitting or input_tokens is None or output_tokens is None:
        return None
    price_in, price_out = prices[max(fitting, key=lambda name: (name == model, len(name)))]
    return (input_tokens * price_in + output_tokens * price_out) / _PER
