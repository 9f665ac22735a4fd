"""The kit of the staff admin: pages to read, actions that go through services, and how values look."""
