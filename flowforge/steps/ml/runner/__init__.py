"""The process that trains and predicts: `main.py` says how it is started. Nothing of the server imports it."""
