"""A small service on DBOS, as its users write one: durable workflows in a FastAPI process."""

import asyncio
import os
from typing import Any

from dbos import DBOS, DBOSConfig
from fastapi import FastAPI

config: DBOSConfig = {"name": "bench", "log_level": "WARNING", "system_database_url": os.environ["BENCH_DATABASE_URL"]}
DBOS(config=config)
app = FastAPI()


def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@DBOS.step()
def step(n: int) -> int:
    return fib(n)


@DBOS.step()
async def parallel_step(n: int) -> int:
    return fib(n)


@DBOS.workflow()
def chain(steps: int) -> int:
    return sum(step(10) for _ in range(steps))


@DBOS.workflow()
async def fan(width: int) -> int:
    return sum(await asyncio.gather(*(parallel_step(10) for _ in range(width))))


DBOS.launch()


@app.post("/chain/{steps}")
def complete(steps: int) -> dict[str, Any]:
    handle = DBOS.start_workflow(chain, steps)
    return {"id": handle.workflow_id, "result": handle.get_result()}


@app.post("/chain/{steps}/start")
def start(steps: int) -> dict[str, Any]:
    return {"id": DBOS.start_workflow(chain, steps).workflow_id}


@app.post("/chain/{steps}/batch/{runs}")
def batch(steps: int, runs: int) -> dict[str, Any]:
    return {"ids": [DBOS.start_workflow(chain, steps).workflow_id for _ in range(runs)]}


@app.post("/fan/{width}")
async def complete_fan(width: int) -> dict[str, Any]:
    handle = await DBOS.start_workflow_async(fan, width)
    return {"id": handle.workflow_id, "result": await handle.get_result()}


@app.get("/runs")
def runs(limit: int = 50, status: str | None = None) -> list[dict[str, Any]]:
    found = DBOS.list_workflows(limit=limit, sort_desc=True, status=status, load_input=False, load_output=False)
    return [{"id": run.workflow_id, "status": run.status, "name": run.name, "created": run.created_at} for run in found]


@app.get("/runs/{run_id}")
def run(run_id: str) -> dict[str, Any]:
    found = DBOS.get_workflow_status(run_id)
    if found is None:
        return {}
    steps = DBOS.list_workflow_steps(run_id)
    return {"id": run_id, "status": found.status, "name": found.name, "output": found.output, "steps": len(steps)}


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}
