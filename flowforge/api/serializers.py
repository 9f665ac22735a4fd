"""Serializers that swallow nothing: a typo in a field's name is a fault, and every fault has its pointer."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from flowforge.api.faults import faults_of
from flowforge.core.errors import Fault, InvalidBody, MalformedRequest

_Kinds = tuple[type[serializers.Field[Any, Any, Any, Any]], ...]
_JSON_KINDS: Final[tuple[tuple[_Kinds, tuple[type, ...]], ...]] = (  # what DRF would take for one another
    ((serializers.CharField,), (str,)),
    ((serializers.BooleanField,), (bool,)),
    ((serializers.IntegerField, serializers.FloatField), (int, float)),
)


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that guesses nothing, at every depth, and names it beside all other faults.

    Unknown fields are refused (`unknown_field`), and so is a number for a text or a text for a number (`invalid`).
    """

    def to_internal_value(self, data: Any) -> Any:
        faults = {**_mistyped(self.fields, data), **_unknown(self.fields, data)} if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            if faults and isinstance(error.detail, dict):
                raise ValidationError(_merged(error.detail, faults)) from error
            raise
        if faults:
            raise ValidationError(faults)
        return value


def _unknown(fields: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(name): [ErrorDetail("There is no such field.", code="unknown_field")]
        for name in data
        if name not in fields or fields[name].read_only
    }


def _mistyped(fields: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _wrong_kind(field, data[name]) for name, field in fields.items() if data.get(name) is not None}
    return {name: detail for name, detail in found.items() if detail}


def _wrong_kind(field: Any, value: Any) -> Any:
    """The detail of a value that DRF would convert; of a list's items by their index. Empty if there is none."""
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        details = {index: _wrong_kind(field.child, item) for index, item in enumerate(value) if item is not None}
        return {index: detail for index, detail in details.items() if detail}
    for kinds, wanted in _JSON_KINDS:
        if isinstance(field, kinds) and not isinstance(value, wanted):
            return [ErrorDetail(str(field.error_messages["invalid"]), code="invalid")]
    return []


def _merged(detail: dict[Any, Any], faults: dict[Any, Any]) -> dict[Any, Any]:
    """Both, place by place; what we say of a place goes before what DRF says."""
    both = {
        place: _merged(detail[place], fault)
        if isinstance(detail.get(place), dict) and isinstance(fault, dict)
        else fault
        for place, fault in faults.items()
    }
    return {**detail, **both}


def body(
    serializer_class: type[serializers.BaseSerializer[Any]],
    request: Request,
    *,
    partial: bool = False,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The validated body of a request.

    Raises InvalidBody (422) with all faults, MalformedRequest (400) when there is no body where one is needed.
    `partial`: for PATCH, absent fields are left out instead of being faults.
    """
    data = request.data
    if not isinstance(data, Mapping):
        raise InvalidBody(faults=[Fault(pointer="", code="invalid", detail="An object is expected.")])
    serializer = serializer_class(data=data, partial=partial, context=dict(context or {}))
    if not serializer.is_valid():
        if not request.body:
            raise MalformedRequest(detail="A JSON body is needed here.")
        raise InvalidBody(faults=faults_of(serializer.errors))
    found: dict[str, Any] = serializer.validated_data
    return found


def validated(
    serializer_class: type[serializers.BaseSerializer[Any]], data: Mapping[str, Any], *, partial: bool = False
) -> dict[str, Any]:
    """The validated fields of a body that a view has read itself. Raises InvalidBody (422) with all faults."""
    serializer = serializer_class(data=data, partial=partial)
    if not serializer.is_valid():
        raise InvalidBody(faults=faults_of(serializer.errors))
    found: dict[str, Any] = serializer.validated_data
    return found
