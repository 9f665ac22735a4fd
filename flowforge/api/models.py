"""The rate windows of an installation with several processes and no Redis."""

from django.db import models


class RateWindow(models.Model):
    """How often a caller was counted on a bucket since its window began."""

    key = models.CharField(max_length=120, primary_key=True)  # bucket, then the project, user or address
    count = models.PositiveIntegerField()
    ends_at = models.FloatField()  # Unix seconds: compared and answered as such

    class Meta:
        ordering = ["key"]
        indexes = [models.Index(fields=["ends_at"], name="ratewindow_expiry")]  # the cleaning's query

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
