"""People, projects and keys in the admin. What has rules is done through the services that the API calls."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_celery_beat import models as beat
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesRadioFilter, RadioFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from flowforge.core import clock
from flowforge.operating.commands import freezing, shown_freeze
from flowforge.projects.models import ApiKey, Membership, Project, TokenFamily, User
from flowforge.projects.services import keys, people, projects
from flowforge.staff import shown
from flowforge.staff.commands import Command, CommandedAdmin, caller_of
from flowforge.staff.pages import ReadOnlyAdmin

admin.site.unregister(Group)  # rights come from the role in a project; those within the admin from the person's own
# beat's rows start Celery's tasks, of which each is a hint that says what to look at: schedules.admin shows them
for model in (beat.PeriodicTask, beat.CrontabSchedule, beat.IntervalSchedule, beat.SolarSchedule, beat.ClockedSchedule):
    admin.site.unregister(model)

RIGHTS = (  # the permissions that do something in this admin
    *("view_run", "change_run", "view_workflow", "change_workflow", "view_triggerdecision"),
    *("view_schedule", "change_schedule", "view_backfill", "change_backfill"),
    *("view_project", "add_project", "change_project"),
    *("view_membership", "add_membership", "change_membership", "delete_membership"),
    *("view_user", "add_user", "change_user", "view_apikey", "change_apikey", "view_tokenfamily"),
)
SEATS_A_PAGE = 20  # each costs a query, for the name of its person


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    per_page = SEATS_A_PAGE
    fields = ("user", "role")
    autocomplete_fields = ("user",)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, CommandedAdmin):
    """People are disabled, not deleted: what they did keeps their name.

    Who may change people is not thereby master of all: superusers alone give rights, and change those who have some.
    """

    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("username", "email", "first_name", "last_name")
    filter_horizontal = ("user_permissions",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights in this admin", {"fields": ("is_active", "is_staff", "is_superuser", "user_permissions")}),
        ("Moments", {"fields": ("last_login", "date_joined")}),
    )
    commands = (
        Command(
            name="log_out_everywhere",
            title="Log out everywhere",
            explanation="All tokens of the API end at once. The person may log in again with the password.",
            done="logged out of the API everywhere",
            carry_out=lambda _caller, user: people.end_all_tokens(user=user),
            icon="logout",
            destructive=True,
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        rights = () if request.user.is_superuser else ("is_staff", "is_superuser", "user_permissions")
        return ("last_login", "date_joined", *rights)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed: bool = super().has_change_permission(request, obj)
        if obj is None or obj == request.user or request.user.is_superuser:
            return allowed
        return allowed and not (obj.is_staff or obj.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The permissions that do something, with what Django's page needs to name them."""
        if db_field.name == "user_permissions":
            ours = Permission.objects.filter(codename__in=RIGHTS)
            kwargs["queryset"] = ours.select_related("content_type").order_by("content_type__model", "codename")
        return super().formfield_for_manytomany(db_field, request, **kwargs)


@admin.register(Project)
class ProjectAdmin(CommandedAdmin):
    """Settings are changed through the API, which validates them."""

    list_display = ("name", "shown_status", "created_at", "updated_at")
    list_filter = (("status", ChoicesRadioFilter),)
    list_filter_submit = True
    search_fields = ("name", "id")
    search_help_text = "Part of a name, or an id"
    fields = ("name", "id", "shown_status", "shown_freeze", "shown_settings", "created_at", "updated_at")
    readonly_fields = fields[1:]
    inlines = (MembershipInline,)
    commands = (
        *freezing("project"),
        Command(
            name="archive",
            title="Archive project",
            explanation="Its people can read it, nobody can write, and its API keys end at once.",
            done="archived",
            carry_out=lambda _caller, project: projects.archive_project(project=project),
            applies=lambda project: project.status == Project.Status.ACTIVE,
            icon="archive",
            destructive=True,
        ),
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is archived is read."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.status == Project.Status.ACTIVE)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Project, form: ModelForm, change: bool) -> None:
        """Only the name is written: the rest of the row may have changed since the page was read."""
        if not change:
            super().save_model(request, obj, form, change)
        elif "name" in form.changed_data:
            projects.update_project(caller=caller_of(request), project=obj, name=obj.name)

    @admin.display(description="status", ordering="status")
    def shown_status(self, project: Project) -> SafeString:
        return shown.label(project.status)

    @admin.display(description="freeze")
    def shown_freeze(self, project: Project) -> str:
        return shown_freeze(project)

    @admin.display(description="settings")
    def shown_settings(self, project: Project) -> SafeString:
        return shown.code_block(shown.document(project.settings))


class KeyStateFilter(RadioFilter):
    """Keys that open something, and those that don't any more."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("active", "active"), ("expired", "expired"), ("revoked", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = clock.now()
        if self.value() == "revoked":
            return queryset.exclude(revoked_at=None)
        if self.value() == "expired":
            return queryset.filter(revoked_at=None, expires_at__lte=now)
        if self.value() == "active":
            return queryset.filter(revoked_at=None).exclude(expires_at__lte=now)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made through the API or the command line, which show them once; here they can be ended."""

    list_display = ("name", "shown_state", "shown_prefix", "project", "created_by", "expires_at", "last_used_at")
    list_filter = (KeyStateFilter, ("project", AutocompleteSelectFilter))
    list_filter_submit = True
    list_select_related = ("project", "created_by")
    search_fields = ("name", "prefix")
    search_help_text = "Part of a name, or the first characters of a key"
    fields = (
        *("name", "shown_state", "shown_prefix", "project", "shown_scopes", "created_by"),
        *("created_at", "expires_at", "last_used_at", "revoked_at"),
    )
    commands = (
        Command(
            name="revoke",
            title="Revoke key",
            explanation="The key ends at once and for good: whoever uses it is refused.",
            done="revoked",
            carry_out=lambda _caller, key: keys.revoke_key(key=key),
            applies=lambda key: key.revoked_at is None,
            icon="key_off",
            destructive=True,
        ),
    )

    def name_of(self, row: Model) -> str:
        return f"API key {row}"

    @admin.display(description="state")
    def shown_state(self, key: ApiKey) -> SafeString:
        if key.revoked_at is not None:
            return shown.label("revoked")
        return shown.label("expired" if key.expires_at is not None and key.expires_at <= clock.now() else "active")

    @admin.display(description="begins with", ordering="prefix")
    def shown_prefix(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    @admin.display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    """Logins to the API, to see who is in."""

    list_display = ("user", "created_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    search_help_text = "Part of a username"
    fields = ("user", "created_at", "expires_at", "revoked_at")
