from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "flowforge.events"
    label = "events"
    verbose_name = "Events"
