"""The other engines: one file each says how it is installed, started and driven; `apps` is what runs inside them."""

from tests.bench.peers.airflow import Airflow
from tests.bench.peers.celery import Celery
from tests.bench.peers.dbos import DbosOnPostgres, DbosOnSqlite
from tests.bench.peers.n8n import N8n
from tests.bench.peers.prefect import Prefect
from tests.bench.peers.restate import Restate
from tests.bench.systems import System

ALL: tuple[type[System], ...] = (Restate, DbosOnSqlite, DbosOnPostgres, Celery, N8n, Prefect, Airflow)
NAMES = tuple(dict.fromkeys(system.environment for system in ALL))
