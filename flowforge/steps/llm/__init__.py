"""`llm`: a question to a language model. The step type is in step.py."""
