from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from flowforge.assets.storage import store_of


class AssetsConfig(AppConfig):
    name = "flowforge.assets"
    label = "assets"
    verbose_name = "Assets"

    def ready(self) -> None:
        """A store that cannot be meant stops the start; whether it answers is asked when it is needed."""
        try:
            store_of(settings.ASSET_STORE, settings.HOME)
        except ValueError as error:
            raise ImproperlyConfigured(f"FLOWFORGE_ASSET_STORE: {error}") from error
