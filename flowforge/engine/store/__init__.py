"""The engine's SQL: the only raw SQL of the project, the same statements on SQLite and PostgreSQL.

Each function is one transaction (or one statement) and takes and gives plain values.
"""
