"""What can be done with webhooks: keyword-only functions, verb first. The API, the admin and the sink call these."""
