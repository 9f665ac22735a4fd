"""What the views of assets share."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.http import HttpResponse

from flowforge.api import http
from flowforge.api.serializers import validated
from flowforge.api.views import ApiViewSet
from flowforge.assets import present, selectors
from flowforge.assets.api.serializers import ContentFields
from flowforge.assets.api.uploads import Upload
from flowforge.assets.constants import BINARY, MEDIA_TYPE, TEXTS
from flowforge.assets.models import Asset
from flowforge.assets.services import contents
from flowforge.assets.services.contents import Content
from flowforge.core.errors import Fault, InvalidBody, PreconditionFailed

READ = "assets:read"
WRITE = "assets:write"


class AssetViews(ApiViewSet):
    """Checking what has come, and answering with an asset."""

    def answer(self, asset: Asset, *, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
        """The asset with its tag; 304 where the client has it already."""
        text = selectors.get_version(asset).text if asset.type in TEXTS else None
        return self.ok(present.whole(asset, text), tag=http.etag(present.row(asset)), status=status, headers=headers)

    def if_match(self, asset: Asset) -> None:
        """Raises PreconditionFailed (412) unless If-Match names the asset's state, or its content by its own tag."""
        asked = self.request.META.get("HTTP_IF_MATCH")
        if asked is None or http.matched_strongly(asked, http.etag(present.row(asset))):
            return
        if not http.matched_strongly(asked, f'"{asset.sha256}"'):
            raise PreconditionFailed(detail="If-Match names another state of this asset: read it again.")


def fields_of(come: Upload, serializer: type[ContentFields], *, partial: bool = False) -> dict[str, Any]:
    """What came beside the content, checked, and held against the content. Raises InvalidBody (422)."""
    given = validated(serializer, come.fields, partial=partial)
    wanted = given.pop("sha256", None)
    if wanted is not None and come.content is not None and wanted != come.content.sha256:
        detail = f"Other bytes have come: theirs is {come.content.sha256}."
        raise InvalidBody(faults=[Fault(pointer="/sha256", code="mismatch", detail=detail)])
    return given


def require_content(come: Upload) -> None:
    """Raises InvalidBody (422) where none has come."""
    if come.content is None:
        detail = "Send the content: `content` in JSON, or `file` in a form."
        raise InvalidBody(faults=[Fault(pointer="/content", code="required", detail=detail)])


def content_type_of(come: Upload, given: Mapping[str, Any], kind: str) -> str:
    """What the client says in so many words, else what is said of the file. Raises InvalidBody (422)."""
    said = given.get("content_type") or come.content_type or contents.usual_type(kind)
    if kind in TEXTS and said == BINARY:  # what clients say of a file that they do not know
        said = contents.usual_type(kind)
    if not MEDIA_TYPE.fullmatch(said):
        detail = "The file's Content-Type is no media type."
        raise InvalidBody(faults=[Fault(pointer="/content_type", code="invalid", detail=detail)])
    return str(said)


def prepared(asset: Asset, come: Upload) -> AbstractContextManager[Content]:
    assert come.content is not None  # noqa: S101  require_content() comes first
    return contents.prepared(asset.project_id, asset.type, come.content, pointer=come.pointer)
