from django.apps import AppConfig


class StaffConfig(AppConfig):
    name = "flowforge.staff"
    label = "staff"
    verbose_name = "Staff"
