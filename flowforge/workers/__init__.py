"""Which worker processes there are, which queues they serve, and whether they get on."""
