"""People, their logins, projects, memberships, API keys and idempotency records."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q

from flowforge.core import clock
from flowforge.core.ids import new_id
from flowforge.core.models import EditableRow, Row
from flowforge.projects.constants import ROLES
from flowforge.projects.scoping import ScopedQuerySet


class User(AbstractUser):
    """A person. `token_version` is in each of the person's JWTs: raising it ends them all."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    token_version = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["username"]

    def __str__(self) -> str:
        return self.username

    def set_password(self, raw_password: str | None) -> None:
        """A new password ends every token that was given out under the old one."""
        super().set_password(raw_password)
        self.token_version += 1


class TokenFamily(Row):
    """One login: the chain of refresh tokens that rotate from it, of which only the newest is good.

    One row a login, whatever number of times it rotates: consuming a refresh token is one guarded update of
    `refresh_jti`, and what isn't the newest any more gives itself away as stolen or sent twice.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="token_families")
    refresh_jti = models.CharField(max_length=64)  # id of the one refresh token that may be used
    expires_at = models.DateTimeField()  # of that token
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta(Row.Meta):
        verbose_name_plural = "token families"
        indexes = [models.Index(fields=["expires_at"], name="token_family_expiry")]  # the cleaner's query

    def __str__(self) -> str:
        return f"login of {self.user} at {self.created_at}"


class ProjectQuerySet(ScopedQuerySet["Project"]):
    """A project belongs to itself."""

    project_path = "id"


class Project(EditableRow):
    """A workspace: everything else belongs to exactly one."""

    class Status(models.TextChoices):
        ACTIVE = "active"
        ARCHIVED = "archived"

    name = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=Status, default=Status.ACTIVE)
    settings = models.JSONField(default=dict, blank=True)  # api.md, section 3
    members: "models.ManyToManyField[User, Membership]" = models.ManyToManyField(
        User, through="Membership", related_name="projects"
    )

    objects = ProjectQuerySet.as_manager()

    class Meta(EditableRow.Meta):
        constraints = [
            models.CheckConstraint(condition=Q(status__in=["active", "archived"]), name="project_status_known"),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(Row):
    """A person's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=[(role, role) for role in ROLES])

    class Meta(Row.Meta):
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=ROLES), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class ApiKey(Row):
    """A scoped key of one project. The key itself is shown once; here is its SHA-256 (it has 256 random bits)."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200)
    prefix = models.CharField(max_length=16)  # the first characters, so that people recognise a key
    key_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    # its creator bounds what it may do, so it goes with them; null: made on the command line
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet["ApiKey"].as_manager()

    class Meta(Row.Meta):
        indexes = [models.Index(fields=["project", "-created_at", "-id"], name="apikey_listing")]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"


class IdempotencyRecord(models.Model):
    """The answer to a POST with an Idempotency-Key, for 24 hours; while `locked_until` runs, its first call does."""

    id = models.BigAutoField(primary_key=True)
    scope = models.CharField(max_length=120)  # the caller's project (or user), so that keys never meet across projects
    key = models.CharField(max_length=255)
    request_hash = models.CharField(max_length=64)  # method, path and body
    locked_until = models.DateTimeField(null=True)
    status_code = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True)
    created_at = models.DateTimeField(default=clock.now)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["scope", "key"], name="idempotency_once")]
        indexes = [models.Index(fields=["expires_at"], name="idempotency_expiry")]  # the cleaner's query

    def __str__(self) -> str:
        return f"{self.scope}/{self.key}"
