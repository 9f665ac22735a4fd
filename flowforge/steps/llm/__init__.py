"""`llm`: a question to a language model."""

from flowforge.steps.llm.step import Llm

__all__ = ["Llm"]
