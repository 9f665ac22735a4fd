"""What tables of all databases have in common here."""

from typing import Final, Literal

Mode = Literal["append", "replace", "error"]

LEDGER: Final = "flowforge_etl"
"""A table beside those that are written to: which steps have done so, in the same transaction as their rows"""
LEDGER_DAYS: Final = 30  # no attempt comes later than that
