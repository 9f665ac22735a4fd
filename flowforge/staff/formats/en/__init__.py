"""For the one language that the admin has."""
