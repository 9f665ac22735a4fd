"""The jobs of tests/bench/etl.py in bare polars or pandas: `python frames.py polars|pandas JOB SOURCE TARGET`.

Each as its own documentation would have it: polars lazily, streaming into the target; pandas with its faster parser.
Prints `{"seconds": …, "rows": …}`; imports are not counted.
"""

import importlib
import json
import sys
import time


def polars_totals(pl, source, target):
    rows = pl.scan_csv(source)
    grouped = rows.group_by("city").agg(pl.len().alias("orders"), pl.col("price").sum().alias("total"))
    grouped.sink_parquet(target)


def polars_copy(pl, source, target):
    pl.scan_csv(source).sink_parquet(target)


def polars_nested(pl, source, target):
    rows = pl.scan_ndjson(source).unnest("customer", separator="_").unnest("customer_address", separator="_")
    rows.sink_parquet(target)


def pandas_totals(pd, source, target):
    rows = pd.read_csv(source, engine="pyarrow")
    grouped = rows.groupby("city", as_index=False).agg(orders=("id", "size"), total=("price", "sum"))
    grouped.to_parquet(target)


def pandas_copy(pd, source, target):
    pd.read_csv(source, engine="pyarrow").to_parquet(target)


def pandas_nested(pd, source, target):
    with open(source) as file:
        rows = pd.json_normalize([json.loads(line) for line in file], sep="_")
    rows.to_parquet(target)


JOBS = {
    "polars": {"totals": polars_totals, "copy": polars_copy, "nested": polars_nested},
    "pandas": {"totals": pandas_totals, "copy": pandas_copy, "nested": pandas_nested},
}


def main(library, job, source, target):
    module = importlib.import_module(library)
    if library == "pandas":
        importlib.import_module("pyarrow.parquet")
    started = time.monotonic()
    JOBS[library][job](module, source, target)
    print(json.dumps({"seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
