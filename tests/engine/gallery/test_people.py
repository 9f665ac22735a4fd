"""What waits for people and events: orders, incidents, payments, customers."""

import pytest

from runs.models import Run
from tests.engine.conftest import statuses, step
from tests.engine.gallery.conftest import Gallery

pytestmark = pytest.mark.django_db

# --- order-review -------------------------------------------------------------------------------------------------


def test_it_works(gallery: Gallery) -> None:
    """A large order waits for a person, whose decision it takes."""
    run = gallery.play("order-review")
    assert run.status == "waiting"
    assert gallery.told() == []
    run = gallery.decide(run, "review", "approved", comment="known customer")
    assert run.status == "completed", run.error
    assert run.outputs == {"order": "A-1001", "state": "accepted", "by": "ada"}
    assert step(run, "review").output["data"] == {"comment": "known customer"}
    assert gallery.told() == [("order.reviewed", {"order": "A-1001", "state": "accepted"})]


def test_a_small_order_needs_nobody(gallery: Gallery) -> None:
    run = gallery.play("order-review", total=500)
    assert run.outputs == {"order": "A-1001", "state": "accepted", "by": "rule"}
    assert statuses(run)["review"] == "skipped"


def test_a_declined_order(gallery: Gallery) -> None:
    run = gallery.decide(gallery.play("order-review"), "review", "rejected")
    assert (run.status, run.outputs["state"], run.outputs["by"]) == ("completed", "declined", "ada")


def test_an_order_that_nobody_looks_at(gallery: Gallery) -> None:
    run = gallery.too_late(gallery.play("order-review", decide_within="1h"))
    assert (run.status, run.outputs["state"], run.outputs["by"]) == ("completed", "overdue", None)
    assert gallery.told() == [("order.reviewed", {"order": "A-1001", "state": "overdue"})]


# --- incident-escalation ------------------------------------------------------------------------------------------


def test_an_incident_that_is_taken_and_resolved(gallery: Gallery) -> None:
    run = gallery.decide(gallery.play("incident-escalation"), "first_call", "approved")
    assert run.status == "waiting"
    run = gallery.publish(run, "incident.resolved", incident="INC-7")  # another one
    assert run.status == "waiting"
    run = gallery.publish(run, "incident.resolved", incident="INC-42", cause="a full disk")
    assert run.status == "completed", run.error
    assert run.outputs == {
        "incident": "INC-42",
        "state": "resolved",
        "by": "ada",
        "resolution": {"incident": "INC-42", "cause": "a full disk"},
    }
    assert statuses(run)["second_call"] == "skipped"


def test_an_incident_goes_to_the_lead_and_takes_too_long(gallery: Gallery) -> None:
    run = gallery.too_late(gallery.play("incident-escalation"))
    assert step(run, "first_call").branch == "expired"
    run = gallery.decide(run, "second_call", "approved")
    run = gallery.too_late(run)
    assert run.status == "completed", run.error
    assert (run.outputs["state"], run.outputs["by"]) == ("overdue", "ada")
    assert [name for name, _ in gallery.told()] == ["incident.opened", "incident.overdue"]


def test_an_incident_that_nobody_takes(gallery: Gallery) -> None:
    run = gallery.decide(gallery.play("incident-escalation"), "first_call", "rejected")
    run = gallery.too_late(run)
    assert (run.status, run.outputs["state"], run.outputs["by"]) == ("completed", "unanswered", None)
    assert [name for name, _ in gallery.told()] == ["incident.opened", "incident.unanswered"]


# --- payment-release ----------------------------------------------------------------------------------------------


def test_a_payment_that_two_approve(gallery: Gallery) -> None:
    run = gallery.decide(gallery.play("payment-release"), "management", "approved")
    assert "think" not in {name for name, status in statuses(run).items() if status != "pending"}
    run = gallery.decide(run, "accounting", "approved")
    assert statuses(run)["think"] == "waiting"
    run = gallery.too_late(run)
    assert run.status == "completed", run.error
    assert run.outputs == {"payment": "P-7", "released": True, "approved_by": ["ada", "ada"]}
    assert gallery.told() == [("payment.released", {"payment": "P-7", "amount": 48000})]


def test_a_payment_that_one_rejects(gallery: Gallery) -> None:
    run = gallery.decide(gallery.play("payment-release"), "accounting", "rejected")
    assert gallery.told() == [("payment.stopped", {"payment": "P-7"})]
    run = gallery.decide(run, "management", "approved")
    assert run.status == "completed", run.error
    assert run.outputs == {"payment": "P-7", "released": False, "approved_by": []}
    assert statuses(run)["release"] == "skipped"
    assert len(gallery.told()) == 1


# --- customer-onboarding ------------------------------------------------------------------------------------------


def test_a_customer_who_confirms(gallery: Gallery) -> None:
    run = gallery.play("customer-onboarding", members=["Ada@example.com", "nobody", "charles@example.com"])
    assert run.status == "waiting", run.error
    run = gallery.publish(run, "customer.confirmed", customer="Analytical Society")
    assert run.status == "completed", run.error
    assert run.outputs == {
        "account": 1,
        "invited": ["ada@example.com", "charles@example.com"],
        "not_invited": 1,
        "confirmed": True,
    }
    children = Run.objects.filter(parent_run=run).order_by("workflow__name", "created_at")
    assert [child.workflow.name for child in children] == ["create-account", "invite-member", "invite-member"]
    assert [name for name, _ in gallery.told()] == ["member.invited", "member.invited", "customer.confirmed"]


def test_a_customer_who_does_not_confirm(gallery: Gallery) -> None:
    first = gallery.play("create-account")
    assert first.outputs == {"account": 1, "plan": "team", "created": True}
    run = gallery.too_late(gallery.play("customer-onboarding", plan="free"))
    assert run.status == "completed", run.error
    assert (run.outputs["account"], run.outputs["confirmed"]) == (1, False)
    assert step(run, "account").output == {"account": 1, "plan": "team", "created": False}
    assert gallery.told()[-1] == ("customer.silent", {"customer": "Analytical Society", "account": 1})


def test_an_invitation_by_itself(gallery: Gallery) -> None:
    run = gallery.play("invite-member", member="Grace@Example.com")
    assert run.outputs["member"] == "grace@example.com"
    assert gallery.told() == [("member.invited", {"account": 1, **run.outputs})]
