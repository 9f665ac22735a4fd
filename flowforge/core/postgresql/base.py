"""A connection is kept from request to request, and each begins by making sure of it (CONN_HEALTH_CHECKS).

Django asks the server `SELECT 1`, which costs both sides as much as some of our queries. A server that has ended a
connection has said so: there is something to read where nothing was asked.
"""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
