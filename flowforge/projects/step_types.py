"""The step types of this installation, and those of them that a project may use."""

from django.conf import settings

from flowforge.projects.models import Project
from flowforge.projects.selectors import allowed_step_types
from flowforge.steps.registry import Registry, default_registry


def step_types() -> Registry:
    """All step types of this installation: ours, those of entry points and of `settings.STEP_TYPES`."""
    return default_registry(settings.STEP_TYPES)


def allowed_types(project: Project, registry: Registry | None = None) -> frozenset[str]:
    """The types that a project's definitions may use; unless it says so, none that starts processes."""
    registry = registry or step_types()
    chosen = allowed_step_types(project.settings)
    if chosen is not None:
        return chosen & frozenset(registry.names())
    return frozenset(kind.name for kind in registry.all() if not kind.starts_processes)
