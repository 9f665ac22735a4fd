from django.apps import AppConfig


class AssetsConfig(AppConfig):
    name = "flowforge.assets"
    label = "assets"
    verbose_name = "Assets"
