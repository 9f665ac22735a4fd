"""What staff may do to rows: from a list, to those that are chosen, and from the page of one.

A model's admin names its commands; each goes through the service that the API calls too, and leaves a line in the
row's history. Whoever may change the model may give commands, though the page itself changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.contrib.auth import get_permission_codename
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.dataclasses import UnfoldAction
from unfold.decorators import action
from unfold.enums import ActionVariant

from flowforge.api.caller import Caller
from flowforge.core.errors import FlowForgeError

MAX_CHOSEN: Final = 500  # rows that one command takes: each is a transaction of its own
MAX_REFUSALS: Final = 10  # told one by one


def _always(_row: Any) -> bool:
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Something that a service does to a row."""

    name: str  # `cancel`: of the action, and the last part of its path
    title: str  # on buttons and in menus: an imperative
    explanation: str  # what will happen, before somebody confirms it
    done: str  # after it: what has become of the rows
    carry_out: Callable[[Caller, Any], object]  # (who asks, the row); raises FlowForgeError where it can't be
    applies: Callable[[Any], bool] = _always  # whether the page of a row offers it
    icon: str  # of Material Symbols
    destructive: bool = False  # a list asks before it; the page of a row asks before anything


class CommandedAdmin(ModelAdmin):
    """An admin with `commands`."""

    commands: ClassVar[Sequence[Command]] = ()
    list_disable_select_all = True  # "all" of a million rows is nobody's intention

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make the two methods of each command that Django's and unfold's actions are."""
        super().__init_subclass__(**kwargs)
        for command in cls.commands:
            setattr(cls, command.name, _of_the_chosen(command))
            setattr(cls, f"{command.name}_this", _of_one(command))
        cls.actions = [command.name for command in cls.commands]
        cls.actions_detail = [f"{command.name}_this" for command in cls.commands]

    def has_command_permission(self, request: HttpRequest, *_row: Any) -> bool:
        """What has_change_permission can't say where the rows themselves are never edited."""
        codename = get_permission_codename("change", self.opts)
        return bool(request.user.has_perm(f"{self.opts.app_label}.{codename}"))

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[UnfoldAction]:
        """Only what makes sense for this row."""
        permitted: list[UnfoldAction] = super().get_actions_detail(request, object_id)
        row = self.get_object(request, object_id) if permitted else None
        apt = {f"{command.name}_this" for command in self.commands if row is not None and command.applies(row)}
        return [found for found in permitted if found.method.original_function_name in apt]

    def name_of(self, row: Any) -> str:
        """How messages and questions name a row."""
        return str(row)

    def give(self, request: HttpRequest, command: Command, rows: Iterable[Model]) -> None:
        """Carry it out for each row, and say what came of it."""
        caller, done, refused = caller_of(request), [], []
        for row in rows:
            try:
                command.carry_out(caller, row)
            except FlowForgeError as error:
                refused.append(f"{self.name_of(row)}: {error}")
            else:
                self.log_change(request, row, f"{command.title}: {command.done}.")
                done.append(self.name_of(row))
        if done:
            whom = done[0] if len(done) == 1 else f"{len(done)} {self.opts.verbose_name_plural}"
            self.message_user(request, f"{whom}: {command.done}.", messages.SUCCESS)
        for text in refused[:MAX_REFUSALS]:
            self.message_user(request, text, messages.ERROR)
        if len(refused) > MAX_REFUSALS:
            self.message_user(request, f"{len(refused) - MAX_REFUSALS} more were refused.", messages.ERROR)

    def ask(self, request: HttpRequest, command: Command, rows: Sequence[Model]) -> TemplateResponse:
        """The page that asks whether it is meant."""
        context = {
            **self.admin_site.each_context(request),
            "title": f"{command.title}?",
            "opts": self.opts,
            "command": command,
            "chosen": [(row.pk, self.name_of(row)) for row in rows],
        }
        return TemplateResponse(request, "staff/confirm.html", context)


def caller_of(request: HttpRequest) -> Caller:
    """Who sits before the admin. What they may do is the admin's own permissions: no project grants them anything."""
    user = request.user
    return Caller(kind="user", id=str(user.pk), name=user.get_username(), grants={}, user_id=user.pk, is_staff=True)


def _of_the_chosen(command: Command) -> Callable[..., HttpResponse | None]:
    """Django's kind of action."""

    def act(self: CommandedAdmin, request: HttpRequest, chosen: QuerySet[Model]) -> HttpResponse | None:
        rows = list(chosen[: MAX_CHOSEN + 1])
        if len(rows) > MAX_CHOSEN:
            self.message_user(request, f"Choose at most {MAX_CHOSEN} at once.", messages.ERROR)
            return None
        if command.destructive and "confirmed" not in request.POST:
            return self.ask(request, command, rows)
        self.give(request, command, rows)
        return None

    act.__name__ = command.name
    act.short_description = command.title  # type: ignore[attr-defined]  # where Django looks for them
    act.allowed_permissions = ["command"]  # type: ignore[attr-defined]
    return act


def _of_one(command: Command) -> Callable[..., HttpResponse]:
    """unfold's kind: a button that opens a dialog, whose form sends the command."""

    def act(self: CommandedAdmin, request: HttpRequest, _form: object, object_id: str) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        self.give(request, command, [row])
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
        return HttpResponse(headers={"HX-Redirect": page})

    act.__name__ = f"{command.name}_this"
    dialog = {
        "title": f"{command.title}?",
        "description": command.explanation,
        "form_submit_text": f"Yes, {command.title.lower()}",  # unfold writes "Cancel" on the other button
    }
    made: Callable[..., HttpResponse] = action(
        description=command.title,
        url_path=command.name,
        permissions=["command"],
        icon=command.icon,
        variant=ActionVariant.DANGER if command.destructive else ActionVariant.DEFAULT,
        dialog=dialog,
    )(act)
    return made
