"""The admin in a real browser, and what of it needs none."""
