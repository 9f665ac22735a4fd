"""The OpenAPI 3.1 document: what the kit does for every endpoint, told for every endpoint.

A view says what is its own (serializers, docstrings, `scopes`, `query_params`, `errors`, `bare`); the envelope, paging,
filters, errors, security and headers are added here, so that document and server can't drift apart.
"""

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from drf_spectacular.openapi import AutoSchema

from flowforge.api import openapi_components as components
from flowforge.api.examples import example_of
from flowforge.api.openapi_filters import filter_parameters
from flowforge.api.openapi_tidy import tidied
from flowforge.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from flowforge.api.permissions import ANY_CALLER
from flowforge.api.serializers import StrictSerializer

if TYPE_CHECKING:
    from flowforge.api.views import ApiViewSet

Schema = dict[str, Any]

STANDARD_ACTIONS: Final = {
    "list": "List {}",
    "retrieve": "Read one of the {}",
    "create": "Create one of the {}",
    "update": "Replace one of the {}",
    "partial_update": "Change one of the {}",
    "destroy": "Remove one of the {}",
}
_JSON: Final = "application/json"


class ApiSchema(AutoSchema):
    """Operation ids `<resource>_<action>`, and per operation its scope, parameters, errors, headers and examples."""

    @property
    def _endpoint(self) -> "ApiViewSet":
        return cast("ApiViewSet", self.view)

    # --- names and texts -----------------------------------------------------------------------------------------

    def get_operation_id(self) -> str:
        """`workflows_list`, `workflows_run`, `projects_workflows_list`, `runs_steps_approve`."""
        segments, action = self._segments(), self._action()
        return "_".join(segments if segments[-1] == action else (*segments, action))

    def get_operation(self, path: str, *args: Any, **kwargs: Any) -> Schema | None:
        """One id a route: an action that also hangs below another resource gets a prefix there, or its own name."""
        operation: Schema | None = super().get_operation(path, *args, **kwargs)
        if operation is not None:
            own = self._endpoint.operation_ids.get(self._action(), operation["operationId"])
            outermost = self._segments()[0]
            operation["operationId"] = own if own.startswith(outermost) else f"{outermost}_{own}"
        return operation

    def get_tags(self) -> list[str]:
        return [self._segments()[0]]

    def get_summary(self) -> str:
        """The first line of the action's docstring."""
        first = self._doc().partition("\n")[0].strip().rstrip(".")
        resource = self._segments()[-1].replace("_", " ")
        return (
            first
            or STANDARD_ACTIONS.get(self._action(), self._action().replace("_", " ")).format(resource).capitalize()
        )

    def get_description(self) -> str:  # type: ignore[override]  # spectacular dropped the arguments of DRF's
        """The docstring, then what it takes to call."""
        needs = "No credentials are needed." if self._endpoint.public else f"Needs {self._needs()}."
        return f"{self._doc() or self.get_summary() + '.'}\n\n{needs} Counts on the rate limit `{self._bucket()}`."

    def _needs(self) -> str:
        scope = self._endpoint.scopes.get(self._action(), ANY_CALLER)
        return "valid credentials" if scope == ANY_CALLER else f"the scope `{scope}`"

    def _doc(self) -> str:
        return inspect.cleandoc(getattr(getattr(self._endpoint, self._action()), "__doc__", None) or "")

    def _action(self) -> str:
        return str(self._endpoint.action)

    def _bucket(self) -> str:
        return str(self._endpoint.rate_buckets.get(self._action(), self._endpoint.rate_bucket))

    def _segments(self) -> list[str]:
        """The fixed parts of the path after the version, without the verb after a colon."""
        path = re.sub(self.path_prefix, "", self.path)
        parts = [part.partition(":")[0].replace("-", "_") for part in path.split("/")]
        return [part for part in parts if part and not part.startswith("{")] or ["root"]

    # --- who may call --------------------------------------------------------------------------------------------

    def get_auth(self) -> list[Schema]:
        if self._endpoint.public:
            return [{}]
        scope = self._endpoint.scopes.get(self._action(), ANY_CALLER)
        roles = [scope] if scope else []  # OpenAPI 3.1 lists the roles that a scheme must bring
        return [{name: roles} for name in components.SECURITY_SCHEMES]

    def get_extensions(self) -> Schema:
        return {"x-scope": self._endpoint.scopes.get(self._action()), "x-rate-limit": self._bucket()}

    # --- what goes in --------------------------------------------------------------------------------------------

    def _get_paginator(self) -> None:
        """Lists are arrays here; `_get_response_bodies` puts them into the envelope with their meta."""

    def _get_filter_parameters(self) -> list[Schema]:
        action, view = self._action(), self._endpoint
        found = [components.parameter(name, {"type": "string"}) for name in view.query_params.get(action, ())]
        if action == "list" and view.filterset_class is not None:
            found += filter_parameters(view.filterset_class)
        return found + self._header_parameters()

    def _get_pagination_parameters(self) -> list[Schema]:
        if self.method != "GET" or not self._is_list_view():
            return []
        limit = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            components.parameter("limit", limit, "How many a page holds."),
            components.parameter("cursor", {"type": "string"}, "The `meta.cursor` of the page before."),
            components.parameter("page", {"type": "integer", "minimum": 1}, "Numbered paging instead of a cursor."),
        ]

    def _map_basic_serializer(self, serializer: Any, direction: Literal["request", "response"]) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]  # spectacular's own
        if direction == "request" and isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _header_parameters(self) -> list[Schema]:
        names = ["traceparent"]
        if self._is_idempotent():
            names.append("Idempotency-Key")
        if self._is_single() and self.method in ("PATCH", "PUT", "DELETE"):
            names.append("If-Match")
        if self._is_single() and self.method == "GET":
            names.append("If-None-Match")
        return [components.HEADER_PARAMETERS[name] for name in names]

    def _is_idempotent(self) -> bool:
        return bool(getattr(getattr(self._endpoint, self._action()), "is_idempotent", False))

    def _is_single(self) -> bool:
        return self._action() in ("retrieve", "update", "partial_update", "destroy")

    # --- what comes out ------------------------------------------------------------------------------------------

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Schema:
        found: Schema = super()._get_response_bodies(direction)
        for status, response in found.items():
            if status.startswith("2"):
                self._complete_success(status, response)
        if self._is_single() and self.method == "GET":
            found["304"] = {"description": "Nothing has changed since the tag in `If-None-Match`."}
        for status in self._error_statuses():
            found.setdefault(status, {"$ref": f"#/components/responses/{components.problem_name(status)}"})
        return dict(sorted(found.items()))

    def _complete_success(self, status: str, response: Schema) -> None:
        response["description"] = response["description"] or components.SUCCESS.get(status, "Done.")
        if status == "204":
            response["description"] = components.SUCCESS["204"]
            response.pop("content", None)
        headers = list(components.EVERYWHERE)
        headers += ["Location"] if status in ("201", "202") else []
        headers += ["ETag"] if self._is_single() and status == "200" else []
        headers += ["Idempotent-Replayed"] if self._is_idempotent() else []
        response["headers"] = {**components.header_refs(headers), **response.get("headers", {})}
        media = response.get("content", {}).get(_JSON)
        if media is not None and self._action() not in self._endpoint.bare:
            _envelop(media)

    def _takes(self, name: str) -> bool:
        """Is there such a query parameter?"""
        return any(entry["name"] == name for entry in self._get_filter_parameters())

    def _error_statuses(self) -> Iterator[str]:
        view, method = self._endpoint, self.method
        yield from ("400", "406", "429", "500", "503")
        yield from (() if view.public else ("401", "403"))
        yield from (("404",) if "{" in self.path or self._takes("project_id") else ())
        yield from (("413", "415", "422") if method in ("POST", "PUT", "PATCH") else ())
        yield from (("412",) if self._is_single() and method != "GET" else ())
        yield from (("409",) if self._is_idempotent() else ())
        yield from map(str, view.errors.get(self._action(), ()))


def _envelop(media: Schema) -> None:
    """Put a media type's schema and examples into `{"data": …, "meta": …}`."""
    inner = media.get("schema", {})
    is_list = inner.get("type") == "array"
    meta = {"$ref": "#/components/schemas/ListMeta"} if is_list else {"$ref": "#/components/schemas/Meta"}
    media["schema"] = {"type": "object", "required": ["data", "meta"], "properties": {"data": inner, "meta": meta}}
    sample = {"cursor": None, "has_more": False} if is_list else {}
    for example in media.get("examples", {}).values():
        example["value"] = {"data": example["value"], "meta": sample}


_METHODS: Final = ("parameters", "get", "post", "put", "patch", "delete", "head", "options")


def finish(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """Postprocessing hook: tidiness, the shared components, and an example wherever a view gave none."""
    result = tidied(result)
    result["paths"] = {path: _in_order(methods) for path, methods in result["paths"].items()}
    shared = result.setdefault("components", {})
    for kind, entries in components.shared().items():
        shared.setdefault(kind, {}).update(entries)
    result["jsonSchemaDialect"] = "https://json-schema.org/draft/2020-12/schema"
    result["tags"] = [{"name": name} for name in sorted(_tags(result))]
    for operation in _operations(result):
        for media in _media(operation):
            if "example" not in media and "examples" not in media and "schema" in media:
                media["example"] = example_of(media["schema"], shared["schemas"])
    return result


def _in_order(methods: Schema) -> Schema:
    """The generator walks a set: the same code has to give the same document."""
    return {method: methods[method] for method in sorted(methods, key=_METHODS.index)}


def _operations(document: Schema) -> Iterator[Schema]:
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method != "parameters")


def _tags(document: Schema) -> set[str]:
    return {tag for operation in _operations(document) for tag in operation.get("tags", ())}


def _media(operation: Schema) -> Iterator[Schema]:
    """Every JSON body that goes in or successfully out; errors have their examples among the components."""
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        if _JSON in part.get("content", {}):
            yield part["content"][_JSON]
