"""Settings of a project: what may stand in them."""

import pytest

from flowforge.projects.project_settings import faults_of, merged

GOOD = {
    "isolation": {"minimum": "namespaces", "network": False},
    "rate_limits": {"general": "1000/m", "runs": "5/s", "export": "10/h"},
    "max_concurrent_runs": 1,
    "retention_days": 30,
    "allowed_step_types": ["http", "acme.deploy", "ml_training"],
    "run_cost_saving": 2.5,
    "variables": {"region": "eu", "nested": {"any": [1, None]}},
    "feature_flags": {"beta": True},
}


def test_it_works():
    assert faults_of(GOOD) == []
    assert faults_of({}) == []


@pytest.mark.parametrize(
    ("given", "place", "code"),
    [
        ({"max_concurent_runs": 1}, "/settings/max_concurent_runs", "unknown_field"),
        ({"a/b~c": 1}, "/settings/a~1b~0c", "unknown_field"),
        ({"rate_limits": []}, "/settings/rate_limits", "invalid_type"),
        ({"isolation": "jail"}, "/settings/isolation", "invalid_choice"),
        ({"isolation": 3}, "/settings/isolation", "invalid_type"),
        ({"isolation": {"minimum": "jail"}}, "/settings/isolation/minimum", "invalid_choice"),
        ({"isolation": {"network": "none"}}, "/settings/isolation/network", "invalid_type"),
        ({"isolation": {"level": "limits"}}, "/settings/isolation/level", "unknown_field"),
        ({"rate_limits": {"login": "1/m"}}, "/settings/rate_limits/login", "unknown_field"),
        ({"rate_limits": {"runs": "1000"}}, "/settings/rate_limits/runs", "invalid_rate"),
        ({"rate_limits": {"runs": "0/m"}}, "/settings/rate_limits/runs", "invalid_rate"),
        ({"rate_limits": {"runs": "-1/m"}}, "/settings/rate_limits/runs", "invalid_rate"),
        ({"rate_limits": {"runs": 5}}, "/settings/rate_limits/runs", "invalid_rate"),
        ({"max_concurrent_runs": 0}, "/settings/max_concurrent_runs", "out_of_range"),
        ({"max_concurrent_runs": 1.0}, "/settings/max_concurrent_runs", "invalid_type"),
        ({"max_concurrent_runs": True}, "/settings/max_concurrent_runs", "invalid_type"),
        ({"max_concurrent_runs": "1"}, "/settings/max_concurrent_runs", "invalid_type"),
        ({"retention_days": 0}, "/settings/retention_days", "out_of_range"),
        ({"retention_days": 36_501}, "/settings/retention_days", "out_of_range"),
        ({"allowed_step_types": "http"}, "/settings/allowed_step_types", "invalid_type"),
        ({"allowed_step_types": ["http", 5]}, "/settings/allowed_step_types/1", "invalid"),
        ({"allowed_step_types": ["rm -rf"]}, "/settings/allowed_step_types/0", "invalid"),
        ({"run_cost_saving": -0.01}, "/settings/run_cost_saving", "out_of_range"),
        ({"run_cost_saving": float("inf")}, "/settings/run_cost_saving", "out_of_range"),
        ({"run_cost_saving": "1"}, "/settings/run_cost_saving", "invalid_type"),
        ({"variables": []}, "/settings/variables", "invalid_type"),
        ({"feature_flags": "beta"}, "/settings/feature_flags", "invalid_type"),
    ],
)
def test_it_rejects(given, place, code):
    assert [(fault.pointer, fault.code) for fault in faults_of(given)] == [(place, code)]


def test_it_rejects_everything_wrong_at_once():
    wrong = {"max_concurrent_runs": 0, "rate_limits": {"runs": "x", "other": "y"}, "what": 1}
    assert len(faults_of(wrong)) == 4


def test_changes_are_laid_over_name_by_name():
    before = {"retention_days": 30, "variables": {"a": 1}}
    assert merged(before, {"variables": {"b": 2}}) == {"retention_days": 30, "variables": {"b": 2}}
    assert merged(before, {"retention_days": None, "run_cost_saving": None}) == {"variables": {"a": 1}}
    assert before == {"retention_days": 30, "variables": {"a": 1}}
