"""Bodies in and out. What a definition may hold is the kernel's to say (`services.definitions.check`)."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from flowforge.api.serializers import StrictSerializer
from flowforge.kernel.validation.shape import TASKS_SCHEMA
from flowforge.operating.bodies import FreezeShown
from workflows.constants import MAX_DESCRIPTION_LENGTH, MAX_NAME_LENGTH, MAX_TAG_LENGTH, MAX_TAGS, STATUSES


class StatusField(serializers.ChoiceField):
    """`active`, `paused` or `archived`; upper case is accepted."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=STATUSES, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        found: str = super().to_internal_value(data.lower() if isinstance(data, str) else data)
        return found


@extend_schema_field(TASKS_SCHEMA)
class TasksField(serializers.JSONField):
    """FlowCtl's tasks; their shape is checked when they are translated."""


@extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": True}})
class RowsField(serializers.JSONField):
    """Nodes or edges."""


@extend_schema_field({"type": "object", "additionalProperties": True})
class ObjectField(serializers.JSONField):
    """An object whose shape the kernel knows."""


@extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
class NullableObjectField(serializers.JSONField):
    """The same, or nothing."""


@extend_schema_field({})
class AnyField(serializers.JSONField):
    """Any JSON value."""


class DefinitionSerializer(StrictSerializer):
    """A definition; for documentation, and as the shape of `definition`."""

    nodes = RowsField(help_text="Steps: `id`, `type`, `config` and more.")
    edges = RowsField(help_text="`source`, `target`, and when they fire: `on`, `when`.")
    config = ObjectField(help_text="Limits, retries and timeouts of a run.")
    input_schema = NullableObjectField(help_text="JSON Schema 2020-12 of a run's inputs.")
    output = AnyField(help_text="Expressions that make a run's outputs.")


class DefinitionBody(StrictSerializer):
    """A definition in one of three forms: its fields at the top, `definition`, or FlowCtl's `tasks`."""

    nodes = RowsField(required=False)
    edges = RowsField(required=False)
    config = ObjectField(required=False)
    input_schema = NullableObjectField(required=False, allow_null=True)
    output = AnyField(required=False, allow_null=True)
    definition = ObjectField(required=False, help_text="The fields above as one object, instead of them.")
    tasks = TasksField(required=False, help_text="FlowCtl's form, instead of nodes and edges.")


class WorkflowBody(DefinitionBody):
    """What PUT and PATCH take."""

    name = serializers.CharField(max_length=MAX_NAME_LENGTH)
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH, trim_whitespace=False
    )
    status = StatusField(required=False)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH), required=False, max_length=MAX_TAGS
    )


class NewWorkflowBody(WorkflowBody):
    """What POST takes."""

    project_id = serializers.UUIDField(required=False, help_text="Needed where the caller has several projects.")


class ValidateBody(DefinitionBody):
    """A definition to check. What else a workflow has may stand beside it, so that a file can be sent as it is."""

    name = serializers.CharField(required=False, max_length=MAX_NAME_LENGTH)
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_DESCRIPTION_LENGTH)
    status = StatusField(required=False)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=MAX_TAG_LENGTH), required=False, max_length=MAX_TAGS
    )
    project_id = serializers.UUIDField(required=False, help_text="Whose allowed step types hold.")


class RollbackBody(StrictSerializer):
    version = serializers.IntegerField(min_value=1)


class UpgradeBody(StrictSerializer):
    """Which step templates are meant."""

    template_id = serializers.UUIDField(required=False, allow_null=True, help_text="All of the workflow's by default.")


class DuplicateBody(StrictSerializer):
    name = serializers.CharField(required=False, max_length=MAX_NAME_LENGTH)
    project_id = serializers.UUIDField(required=False, help_text="Where the copy goes; its own project by default.")


class InstallBody(StrictSerializer):
    project_id = serializers.UUIDField(required=False, help_text="Needed where the caller has several projects.")
    name = serializers.CharField(
        required=False, max_length=MAX_NAME_LENGTH, help_text="The slug, with a number if that is taken."
    )


# --- answers, for the OpenAPI document ----------------------------------------------------------------------------


class WorkflowRowShown(serializers.Serializer[Any]):
    """A workflow as a list shows it."""

    id = serializers.UUIDField()
    project_id = serializers.UUIDField()
    name = serializers.CharField()
    description = serializers.CharField()
    status = StatusField()
    version = serializers.IntegerField(help_text="Number of the current version.")
    tags = serializers.ListField(child=serializers.CharField())
    last_run_id = serializers.UUIDField(allow_null=True)
    last_run_status = serializers.CharField(allow_null=True)
    freeze = FreezeShown(allow_null=True, help_text="While no run and no step of it begins.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    output = AnyField(allow_null=True, help_text="Expressions that make a run's outputs.")


class WorkflowShown(WorkflowRowShown):
    """A workflow with the definition of its current version."""

    nodes = RowsField()
    edges = RowsField()
    config = ObjectField()
    input_schema = NullableObjectField(allow_null=True)


class FaultShown(serializers.Serializer[Any]):
    pointer = serializers.CharField(help_text="JSON pointer (RFC 6901) into what was sent.")
    code = serializers.CharField()
    detail = serializers.CharField()


class VerdictShown(serializers.Serializer[Any]):
    """What is wrong with a definition."""

    valid = serializers.BooleanField()
    errors = FaultShown(many=True)  # type: ignore[assignment]  # DRF takes fields off the class: nothing is hidden
    warnings = FaultShown(many=True)


class VersionRowShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    workflow_id = serializers.UUIDField()
    version = serializers.IntegerField()
    current = serializers.BooleanField(help_text="Is it the one that new runs take?")
    definition_hash = serializers.CharField(help_text="SHA-256 of the definition's canonical JSON.")
    created_by = serializers.UUIDField(allow_null=True, help_text="The person; null for a key.")
    created_at = serializers.DateTimeField()


class ChangeShown(serializers.Serializer[Any]):
    """An operation after RFC 6902; `old` where there was something, `value` where there is something."""

    op = serializers.ChoiceField(choices=("add", "remove", "replace"))
    path = serializers.CharField()
    old = AnyField(required=False)
    value = AnyField(required=False)


class ChangedRowShown(serializers.Serializer[Any]):
    id = serializers.CharField(required=False, help_text="Of a node.")
    source = serializers.CharField(required=False, help_text="Of an edge.")  # type: ignore[assignment]  # likewise
    target = serializers.CharField(required=False, help_text="Of an edge.")
    changes = ChangeShown(many=True)


class RowsDiffShown(serializers.Serializer[Any]):
    added = RowsField()
    removed = RowsField()
    changed = ChangedRowShown(many=True)
    reordered = serializers.BooleanField()


class DiffShown(serializers.Serializer[Any]):
    """The way from this version to the current one."""

    to = serializers.IntegerField(help_text="Number of the current version.")
    identical = serializers.BooleanField()
    nodes = RowsDiffShown()
    edges = RowsDiffShown()
    config = ChangeShown(many=True)
    input_schema = ChangeShown(many=True)
    output = ChangeShown(many=True)


class VersionShown(VersionRowShown):
    definition = DefinitionSerializer()
    diff = DiffShown(required=False, help_text="With `?diff=true`.")


class TemplateUseShown(serializers.Serializer[Any]):
    """A workflow that uses a version of a step template."""

    workflow_id = serializers.UUIDField()
    workflow_name = serializers.CharField()
    workflow_status = StatusField()
    workflow_version = serializers.IntegerField(help_text="Number of its current version.")
    template_version = serializers.IntegerField()
    outdated = serializers.BooleanField(help_text="Has the template a newer version?")
    nodes = serializers.ListField(child=serializers.CharField(), help_text="Ids of the nodes that it makes.")


class ImportedShown(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=("created", "updated", "unchanged"))
    version = serializers.IntegerField()


class StepTypeShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    kind = serializers.ChoiceField(choices=("pure", "effect"))
    config_schema = ObjectField(help_text="JSON Schema 2020-12 of a node's `config`.")
    output_schema = ObjectField(help_text="JSON Schema 2020-12 of what the step gives.")
    allowed = serializers.BooleanField(allow_null=True, help_text="In the project; null where none is meant.")


class NeedShown(serializers.Serializer[Any]):
    """What a workflow of the gallery wants beside a fresh installation."""

    kind = serializers.ChoiceField(choices=("credential", "isolation", "program", "provider", "target"))
    detail = serializers.CharField()


class GalleryRowShown(serializers.Serializer[Any]):
    """A workflow of the gallery as the list shows it."""

    slug = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    step_types = serializers.ListField(
        child=serializers.CharField(), help_text="What a project has to allow; with those of what it installs."
    )
    needs = NeedShown(many=True)
    installs = serializers.ListField(child=serializers.CharField(), help_text="Slugs of the workflows that it starts.")


class GalleryItemShown(GalleryRowShown):
    """A workflow of the gallery."""

    example = ObjectField(help_text="Inputs to try it with; its defaults do as well.")
    triggers = ObjectField(help_text="`schedule`, `webhook`, `event`: bodies that would make one that suits it.")
    mermaid = serializers.CharField(help_text="The picture, as Mermaid text.")
    definition = DefinitionSerializer()
