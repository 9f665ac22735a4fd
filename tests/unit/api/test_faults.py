"""JSON pointers of what a serializer found."""

from rest_framework.exceptions import ErrorDetail, ValidationError

from flowforge.api.faults import faults_of, pointer


def test_it_works():
    detail = ValidationError(
        {
            "name": [ErrorDetail("Too long.", code="max_length"), ErrorDetail("Odd.", code="invalid")],
            "parts": [{}, {"size": [ErrorDetail("Small.", code="min_value")]}],
            "tags": {1: [ErrorDetail("Long.", code="max_length")]},
            "non_field_errors": [ErrorDetail("Contradiction.", code="conflict")],
        }
    ).detail
    assert [(fault.pointer, fault.code) for fault in faults_of(detail)] == [
        ("/name", "max_length"),
        ("/name", "invalid"),
        ("/parts/1/size", "min_value"),
        ("/tags/1", "max_length"),
        ("", "conflict"),
    ]


def test_it_rejects_nothing_that_a_name_may_hold():
    assert pointer("a/b~c", 0, "") == "/a~1b~0c/0/"


def test_a_prefix_places_the_faults_in_a_larger_document():
    assert [fault.pointer for fault in faults_of({"x": ["Wrong."]}, "/nodes/3")] == ["/nodes/3/x"]
