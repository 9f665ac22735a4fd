"""Serializers that swallow nothing: a typo in a field's name is a fault, and every fault has its pointer."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from flowforge.api.faults import faults_of
from flowforge.core.errors import Fault, InvalidBody, MalformedRequest


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses unknown fields (`unknown_field`), beside all other faults, at every depth."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = self._unknown(data)
        try:
            value = super().to_internal_value(data)
        except ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **unknown}) from error
            raise
        if unknown:
            raise ValidationError(unknown)
        return value

    def _unknown(self, data: Any) -> dict[str, list[ErrorDetail]]:
        if not isinstance(data, Mapping):
            return {}
        known = self.fields
        return {
            str(name): [ErrorDetail("There is no such field.", code="unknown_field")]
            for name in data
            if name not in known or known[name].read_only
        }


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
    validated: dict[str, Any] = serializer.validated_data
    return validated
