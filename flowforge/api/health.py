"""Probes for orchestrators: `/livez` (the process answers), `/readyz` (it can do its work)."""

from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from flowforge.api import problems
from flowforge.api.http import Bare
from flowforge.core.errors import Unavailable


@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    return Bare({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200, or 503 while the database can't be reached."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return problems.answer(Unavailable(detail="The database can't be reached just now."), request)
    return Bare({"status": "ok"})
