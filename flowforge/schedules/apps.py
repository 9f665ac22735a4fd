from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    name = "flowforge.schedules"
    label = "schedules"
    verbose_name = "Schedules"
