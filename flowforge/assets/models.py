"""What a project keeps for its steps: prompts, datasets, snippets. Each content is a version, and stays as it is."""

from django.db import models
from django.db.models import Q

from flowforge.assets import constants
from flowforge.core.models import EditableRow, Row
from flowforge.projects.models import Project
from flowforge.projects.scoping import ScopedQuerySet


class Blob(Row):
    """Bytes in the store, noted before they are written: whatever dies on the way, the row says what is left over.

    `writing` until a version takes it (`kept`); `condemned` when nobody needs it: services.sweeping removes it.
    """

    project = models.ForeignKey(Project, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    key = models.CharField(max_length=100)  # its name in the store
    size = models.BigIntegerField()  # bytes; from the first moment on they count on the project's quota
    state = models.CharField(max_length=16, default=constants.WRITING)
    state_at = models.DateTimeField()  # since when

    class Meta(Row.Meta):
        constraints = [
            models.UniqueConstraint(fields=["key"], name="blob_key_once"),
            models.CheckConstraint(
                condition=Q(state__in=(constants.WRITING, constants.KEPT, constants.CONDEMNED)),
                name="blob_state_known",
            ),
        ]
        indexes = [
            # what is to be removed: services.sweeping
            models.Index(fields=["state", "state_at"], name="blob_sweep", condition=~Q(state=constants.KEPT)),
            # what a project has in the store: services.quota
            models.Index(
                fields=["project"], include=["size"], name="blob_quota", condition=~Q(state=constants.CONDEMNED)
            ),
            # what a project that was deleted has left: services.sweeping
            models.Index(fields=["id"], name="blob_ownerless", condition=Q(project=None)),
        ]

    def __str__(self) -> str:
        return self.key


class Asset(EditableRow):
    """What people name. Its content is that of its newest version, whose figures are repeated here for listings."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assets", db_index=False)
    type = models.CharField(max_length=16)
    label = models.CharField(max_length=constants.MAX_LABEL_LENGTH)
    metadata = models.JSONField(default=dict)
    version = models.PositiveIntegerField(default=1)
    size = models.BigIntegerField()  # bytes
    sha256 = models.CharField(max_length=64)  # of the content, in hexadecimal
    content_type = models.CharField(max_length=constants.MAX_MEDIA_TYPE_LENGTH)
    created_by = models.CharField(max_length=80, default="")  # `key:<id>`, `user:<id>`, `run:<id>`
    updated_by = models.CharField(max_length=80, default="")

    objects = ScopedQuerySet["Asset"].as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(type__in=constants.TYPES), name="asset_type_known"),
        ]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"], name="asset_listing"),
        ]

    def __str__(self) -> str:
        return self.label


class AssetVersion(Row):
    """One content: a text in its row, or a blob in the store. Never changed."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+", db_index=False)
    asset = models.ForeignKey(Asset, on_delete=models.CASCADE, related_name="versions", db_index=False)
    version = models.PositiveIntegerField()  # from 1
    size = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=constants.MAX_MEDIA_TYPE_LENGTH)
    text = models.TextField(null=True)  # noqa: DJ001  null: it is in a blob; an empty text is a text
    blob = models.OneToOneField(Blob, null=True, on_delete=models.PROTECT, related_name="asset_version")
    created_by = models.CharField(max_length=80, default="")

    class Meta(Row.Meta):
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["asset", "version"], name="asset_version_once"),
            models.CheckConstraint(
                condition=Q(text__isnull=True, blob__isnull=False) | Q(text__isnull=False, blob__isnull=True),
                name="asset_version_has_one_content",
            ),
        ]
        indexes = [
            # what a project has in rows: services.quota
            models.Index(
                fields=["project"], include=["size"], name="asset_version_quota", condition=Q(blob__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.asset_id} v{self.version}"
