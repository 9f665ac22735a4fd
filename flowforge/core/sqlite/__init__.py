"""Django's SQLite backend, with the threads of this process in line before the database's one write lock."""
