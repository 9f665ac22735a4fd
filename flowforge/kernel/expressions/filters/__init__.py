"""The filters and tests, by what they work on. Importing this package registers them."""

from flowforge.kernel.expressions.filters import (  # noqa: F401 -- each registers what it offers
    conversions,
    dates,
    encodings,
    lists,
    numbers,
    objects,
    predicates,
    selections,
    texts,
)
