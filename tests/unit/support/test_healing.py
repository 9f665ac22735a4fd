"""What a test leaves that was cut short."""

from typing import Any, cast

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from flowforge.projects.models import Project
from tests import factories
from tests.support.healing import heal, is_broken

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_works() -> None:
    factories.make_project()
    assert not is_broken(connection)
    transaction.atomic().__enter__()  # and nobody leaves it
    factories.make_project()
    assert is_broken(connection)
    heal(connection)
    assert not is_broken(connection)
    assert (Project.objects.count(), ContentType.objects.filter(model="project").count()) == (0, 1)


@pytest.mark.postgres
def test_a_statement_that_nobody_waits_for_is_left_behind() -> None:
    factories.make_project()
    cast(Any, connection.connection).pgconn.send_query(b"SELECT pg_sleep(1)")
    assert is_broken(connection)
    heal(connection)
    assert Project.objects.count() == 0
