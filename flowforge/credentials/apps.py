from django.apps import AppConfig


class CredentialsConfig(AppConfig):
    name = "flowforge.credentials"
    label = "credentials"
    verbose_name = "Credentials"
