"""Real graphs: every task once, in order. Skipped where the traces are not there (tests/support/wfcommons.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runs.models import RunEvent
from tests.engine.conftest import Flow, fresh
from tests.support import wfcommons
from tests.support.step_types import Effect

pytestmark = pytest.mark.django_db
MakeFlow = Callable[..., Flow]


@pytest.mark.parametrize("path", wfcommons.instances(), ids=lambda path: path.stem)
def test_it_works(flow: MakeFlow, path: Path) -> None:
    document = wfcommons.definition(path, "effect")
    run = flow(document).run()
    assert fresh(run).status == "completed"
    assert sorted(Effect.order) == sorted(node["id"] for node in document["nodes"])
    place = {node_id: at for at, node_id in enumerate(Effect.order)}
    assert all(place[edge["source"]] < place[edge["target"]] for edge in document["edges"])
    ended = RunEvent.objects.filter(run_id=run.pk, event="step.completed").count()
    assert ended == len(document["nodes"])
    assert RunEvent.objects.filter(run_id=run.pk).count() == fresh(run).event_seq
