"""People, projects and keys in the admin. What has rules is done through the services that the API calls."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from flowforge.projects.models import ApiKey, Membership, Project, TokenFamily, User
from flowforge.projects.services import keys, people, projects

admin.site.unregister(Group)  # rights come from the role in a project alone


class _ReadOnly(ModelAdmin):
    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(TabularInline):
    model = Membership
    extra = 0
    fields = ("user", "role")
    autocomplete_fields = ("user",)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """People are disabled, not deleted: what they did keeps their name."""

    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("username", "email", "first_name", "last_name")
    filter_horizontal = ()
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Moments", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    actions = ("log_out_everywhere",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Log out everywhere")
    def log_out_everywhere(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            people.end_all_tokens(user=user)
        messages.success(request, "Their tokens have ended.")


@admin.register(Project)
class ProjectAdmin(ModelAdmin):
    """Settings are changed through the API, which validates them."""

    list_display = ("name", "status", "created_at", "updated_at")
    list_filter = ("status",)
    search_fields = ("name", "id")
    fields = ("id", "name", "status", "settings", "created_at", "updated_at")
    readonly_fields = ("id", "status", "settings", "created_at", "updated_at")
    inlines = (MembershipInline,)
    actions = ("archive",)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Archive")
    def archive(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        for project in queryset:
            projects.archive_project(project=project)
        messages.success(request, "Archived.")


@admin.register(ApiKey)
class ApiKeyAdmin(_ReadOnly):
    """Keys are made through the API or the command line, which show them once; here they can be ended."""

    list_display = ("name", "prefix", "project", "created_by", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("project",)
    list_select_related = ("project", "created_by")
    search_fields = ("name", "prefix")
    fields = (
        "name",
        "prefix",
        "project",
        "scopes",
        "created_by",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        for key in queryset:
            keys.revoke_key(key=key)
        messages.success(request, "Revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Who may change keys: the page itself changes nothing."""
        return request.user.has_perm("projects.change_apikey")


@admin.register(TokenFamily)
class TokenFamilyAdmin(_ReadOnly):
    """Logins, to see who is in."""

    list_display = ("user", "created_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    search_fields = ("user__username",)
    fields = ("user", "created_at", "expires_at", "revoked_at")
