"""A connection is kept from request to request, and each begins by making sure of it (CONN_HEALTH_CHECKS).

Django asks the server `SELECT 1`, which costs both sides as much as some of our queries. A server that has ended a
connection has said so: there is something to read where nothing was asked. After an error it is asked all the same.
"""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        if self.errors_occurred or self.connection.info.transaction_status != TransactionStatus.IDLE:
            return super().is_usable()
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0) or super().is_usable()
