"""`{{ status|tone }}`, `{{ at|moment }}`, `{{ at|instant }}`, `{{ seconds|lasted }}`, `{{ value|document }}`."""

from functools import partial

from django import template

from flowforge.staff import shown

register = template.Library()
register.filter("moment", shown.moment)
register.filter("instant", partial(shown.moment, digits=3))  # where much happens within a second
register.filter("lasted", shown.lasted)
register.filter("document", shown.document)


@register.filter
def tone(status: str) -> str:
    """The colour of a status's label, in unfold's words."""
    return shown.TONES.get(status, "default")
