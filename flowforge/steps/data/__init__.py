"""Where steps on data read from and write to: one module a kind of location; `transfer.py` is the way in."""
