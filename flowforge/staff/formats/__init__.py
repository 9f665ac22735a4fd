"""How the admin writes moments: Django looks here first (settings.FORMAT_MODULE_PATH)."""
