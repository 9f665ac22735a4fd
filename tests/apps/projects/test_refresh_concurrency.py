"""Fifty refreshes with one token at once: one is answered, and the login is over."""

import threading
from collections import Counter

import pytest
from django.db import connection

from flowforge.core.errors import InvalidCredentials
from flowforge.projects.models import TokenFamily
from flowforge.projects.services import people
from tests import factories

THREADS = 50


@pytest.mark.django_db(transaction=True)
def test_it_works_for_exactly_one_of_fifty():
    person = factories.make_user()
    pair = people.log_in(username=person.username, password=factories.PASSWORD)
    barrier, outcomes = threading.Barrier(THREADS), Counter()

    def refresh() -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=60)
            people.refresh(refresh_token=pair.refresh)
            outcomes["refreshed"] += 1
        except InvalidCredentials:
            outcomes["refused"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=refresh) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"refreshed": 1, "refused": THREADS - 1}
    assert TokenFamily.objects.get().revoked_at is not None
