"""A transformation as one query over the source, in the child.

Each step wraps the query before it: `WITH source AS (…) SELECT …`; so that every one of them, the user's SQL too, finds
what it changes under the name `source`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import duckdb

from flowforge.steps.data.duck import Problem, name, problem_of, text
from flowforge.steps.data.reading import described
from flowforge.steps.etl.transformation import SEPARATOR, type_of

_LISTS: Final = frozenset({"list", "array", "map", "union"})
_NUMBER: Final = '"__row__"'


def shaped(connection: duckdb.DuckDBPyConnection, query: str, steps: Sequence[tuple[str, Any]]) -> str:
    """Raises Problem, naming the step by its place."""
    for place, (step, argument) in enumerate(steps, 1):
        try:
            query = _STEPS[step](connection, query, argument)
            connection.sql(query)  # bound, not run: what is wrong with it is this step's
        except duckdb.Error as error:
            problem = problem_of(error)
        except Problem as found:
            problem = found
        else:
            continue
        message = f"Step {place} of the transformation, {step}: {problem.message}"
        raise Problem(problem.code, message, **problem.details, step=place)
    return query


def _over(query: str, select: str) -> str:
    return f"WITH source AS ({query}) {select}"


def _normalize(connection: duckdb.DuckDBPyConnection, query: str, argument: Mapping[str, str] | None) -> str:
    """Fields of nested objects as columns of their own, at any depth; lists and maps as JSON."""
    separator = (argument or {}).get("separator", SEPARATOR)
    query = _with_structures(connection, query)
    found: dict[str, str] = {}
    for column, kind in described(connection, query):
        for path, expression in _leaves(column, name(column), kind, separator):
            if path.lower() in (known.lower() for known in found):
                raise Problem("column_conflict", f"there would be two columns {path!r}", column=path)
            found[path] = expression
    return _over(query, f"SELECT {', '.join(f'{expression} AS {name(path)}' for path, expression in found.items())} "
                        "FROM source")  # fmt: skip


def _leaves(path: str, expression: str, kind: Any, separator: str) -> list[tuple[str, str]]:
    if kind.id == "struct":
        return [
            leaf
            for field, inner in kind.children
            for leaf in _leaves(
                f"{path}{separator}{field}", f"struct_extract({expression}, {text(field)})", inner, separator
            )
        ]
    return [(path, f"to_json({expression})" if kind.id in _LISTS else expression)]


def _with_structures(connection: duckdb.DuckDBPyConnection, query: str) -> str:
    """Columns of the type JSON (of databases, or by a cast) as the objects that they hold, where they do."""
    replaced = []
    for column in [column for column, kind in described(connection, query) if str(kind) == "JSON"]:
        structure = f"SELECT CAST(json_group_structure({name(column)}) AS VARCHAR) FROM source"
        row = connection.execute(_over(query, structure)).fetchone()
        if row and row[0] and row[0].startswith("{"):
            replaced.append(f"from_json({name(column)}, {text(row[0])}) AS {name(column)}")
    return _over(query, f"SELECT * REPLACE ({', '.join(replaced)}) FROM source") if replaced else query


def _deduplicate(connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[str] | None) -> str:
    """Whole rows, in no order; by columns, the first row of each in the order of the source."""
    if columns is None:
        return _over(query, "SELECT DISTINCT * FROM source")
    keys = ", ".join(_known(connection, query, columns))
    return (
        f"WITH source AS NOT MATERIALIZED (SELECT *, row_number() OVER () AS {_NUMBER} FROM ({query})) "
        f"SELECT * EXCLUDE ({_NUMBER}) FROM source "
        f"WHERE {_NUMBER} IN (SELECT min({_NUMBER}) FROM source GROUP BY {keys})"
    )


def _drop_nulls(connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[str] | None) -> str:
    wanted = columns if columns is not None else [column for column, _ in described(connection, query)]
    conditions = " AND ".join(f"{column} IS NOT NULL" for column in _known(connection, query, wanted))
    return _over(query, f"SELECT * FROM source WHERE {conditions}")


def _select(connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[str]) -> str:
    return _over(query, f"SELECT {', '.join(_known(connection, query, columns))} FROM source")


def _rename(connection: duckdb.DuckDBPyConnection, query: str, names: Mapping[str, str]) -> str:
    _known(connection, query, list(names))
    columns = [column for column, _ in described(connection, query)]
    new = [names.get(column, column) for column in columns]
    twice = next((column for column in new if [each.lower() for each in new].count(column.lower()) > 1), None)
    if twice is not None:
        raise Problem("column_conflict", f"there would be two columns {twice!r}", column=twice)
    listed = (f"{name(old)} AS {name(column)}" for old, column in zip(columns, new, strict=True))
    return _over(query, f"SELECT {', '.join(listed)} FROM source")


def _cast(connection: duckdb.DuckDBPyConnection, query: str, types: Mapping[str, str]) -> str:
    _known(connection, query, list(types))
    casts = []
    for column, written in types.items():
        kind = type_of(written)
        if kind is None:
            raise Problem("invalid_config", f"there is no type {written!r}")
        casts.append(f"CAST({name(column)} AS {kind}) AS {name(column)}")
    return _over(query, f"SELECT * REPLACE ({', '.join(casts)}) FROM source")


def _filter(_connection: duckdb.DuckDBPyConnection, query: str, condition: str) -> str:
    statement = _one_select(f"SELECT * FROM source WHERE (\n{condition}\n)")
    return _over(query, f"SELECT * FROM (\n{statement}\n) AS filtered")


def _sql(_connection: duckdb.DuckDBPyConnection, query: str, sql: str) -> str:
    return _over(query, f"SELECT * FROM (\n{_one_select(sql)}\n) AS result")


def _one_select(sql: str) -> str:
    """One statement that only reads, without its semicolon and what follows that."""
    statements = duckdb.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Problem("sql_refused", "it has to be one SELECT")
    raw = statements[0].query.encode()  # tokens are placed by bytes
    ends = [place for place, _ in duckdb.tokenize(statements[0].query) if raw[place : place + 1] == b";"]
    return (raw[: ends[-1]] if ends else raw).decode()


def _known(connection: duckdb.DuckDBPyConnection, query: str, columns: Sequence[str]) -> list[str]:
    """The columns as identifiers."""
    there = {column for column, _ in described(connection, query)}
    for column in columns:
        if column not in there:
            raise Problem("unknown_column", f"there is no column {column!r}", column=column)
    return [name(column) for column in columns]


_Step = Callable[[duckdb.DuckDBPyConnection, str, Any], str]
_STEPS: Final[Mapping[str, _Step]] = {
    "normalize": _normalize,
    "deduplicate": _deduplicate,
    "drop_nulls": _drop_nulls,
    "select": _select,
    "rename": _rename,
    "cast": _cast,
    "filter": _filter,
    "sql": _sql,
}
