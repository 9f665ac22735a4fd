"""Pages: by signed keyset cursor (the default) or numbered (`?page=`).

`page_of` is the pure part: it works on querysets of models, of `values()` and of `values_list()`. A cursor names the
last row that was seen by its key, is signed, and is bound to its listing (path, filters, the projects that are seen).
"""

import base64
import binascii
import heapq
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Field, Model, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import HttpRequest
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from flowforge.api.caller import Caller
from flowforge.core import json
from flowforge.core.errors import InvalidCursor, InvalidQuery
from flowforge.core.json import Json

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
MAX_PAGE: Final = 1_000_000
NEWEST_FIRST: Final = ("created_at", "id")
POSITION: Final = ("limit", "cursor", "page")  # say where in a listing, not which listing
WHOLE: Final = {"cursor": None, "has_more": False}  # the meta of a list that has no other page
_SIGNATURE_BYTES: Final = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Some rows of a listing, and the `meta` of the envelope that tells how to go on."""

    rows: Sequence[Any]
    meta: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PageParams:
    """What a client asked for."""

    listing: bytes  # path, filters, projects: a cursor is good for one listing alone
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    page: int | None = None  # numbered paging; None: by cursor


def page_params(request: HttpRequest | Request, *, max_limit: int = MAX_LIMIT) -> PageParams:
    """Read `limit`, `cursor` and `page`. Raises InvalidQuery."""
    query = request.GET
    listing = _listing(request)
    if not query:
        return PageParams(listing=listing)
    if "page" in query and "cursor" in query:
        raise InvalidQuery(detail="Give either page or cursor.")
    return PageParams(
        listing=listing,
        limit=_number("limit", query.get("limit"), DEFAULT_LIMIT, max_limit),
        cursor=query.get("cursor"),
        page=_number("page", query["page"], 1, MAX_PAGE) if "page" in query else None,
    )


def _listing(request: HttpRequest | Request) -> bytes:
    """Which listing is read: its path, its filters and the projects that the caller sees, whatever part of it."""
    filters = sorted((name, values) for name, values in request.GET.lists() if name not in POSITION)
    caller: Caller | None = getattr(request, "_auth", None)  # as authentication left it: `.auth` would try again
    projects = sorted(caller.project_ids) if caller else []
    return json.dumps([request.path, filters, projects])


def page_of(
    queryset: QuerySet[Any, Any],
    params: PageParams,
    *,
    key: Sequence[str] = NEWEST_FIRST,
    ascending: bool = False,
) -> Page:
    """One page of a queryset, greatest key first, with `ascending` least; the key's columns are unique and not null.

    Its cost doesn't grow with depth if an index on (filters…, key…) exists. Raises InvalidCursor, InvalidQuery.
    """
    if params.page is not None:
        return _numbered(_ordered(queryset, key, ascending), params.page, params.limit)
    return _page(_rows(queryset, params, key, ascending), params, key, queryset)


def page_of_merged(querysets: Sequence[QuerySet[Any, Any]], params: PageParams) -> Page:
    """One page, by cursor, newest first, of several querysets that share no row, such as one a project.

    One query each: each walks its own index, where one query over all of them would have to sort all their rows.
    """
    parts = [_rows(queryset, params, NEWEST_FIRST, ascending=False) for queryset in querysets]
    return _merged(parts, params, querysets[0])


def first_page_of(parts: Sequence[Sequence[NamedTuple]], params: PageParams) -> Page:
    """The first page, newest first, of parts that share no row: of each the newest, one more than the page holds."""
    return _merged(parts, params, None)


def _merged(parts: Sequence[Sequence[Any]], params: PageParams, queryset: QuerySet[Any, Any] | None) -> Page:
    rows = list(parts[0]) if len(parts) == 1 else []
    if len(parts) > 1:
        merged = heapq.merge(*parts, key=lambda row: _key_of(row, NEWEST_FIRST, queryset), reverse=True)
        rows = list(islice(merged, params.limit + 1))
    return _page(rows, params, NEWEST_FIRST, queryset)


def _ordered(queryset: QuerySet[Any, Any], key: Sequence[str], ascending: bool) -> QuerySet[Any, Any]:
    return queryset.order_by(*(name if ascending else f"-{name}" for name in key))


def _rows(queryset: QuerySet[Any, Any], params: PageParams, key: Sequence[str], ascending: bool) -> list[Any]:
    """The rows of a page, and one more if there is one."""
    ordered = _ordered(queryset, key, ascending)
    if params.cursor is not None:
        seen = _read_cursor(params.cursor, params.listing, queryset.model, key)
        beyond = TupleGreaterThan if ascending else TupleLessThan
        ordered = ordered.filter(beyond(Tuple(*(F(name) for name in key)), seen))
    return list(ordered[: params.limit + 1])


def _page(rows: list[Any], params: PageParams, key: Sequence[str], queryset: QuerySet[Any, Any] | None) -> Page:
    has_more = len(rows) > params.limit
    rows = rows[: params.limit]
    cursor = _cursor(_key_of(rows[-1], key, queryset), params.listing) if has_more else None
    return Page(rows=rows, meta={"cursor": cursor, "has_more": has_more})


def slice_of(items: Sequence[Any], params: PageParams) -> Page:
    """One page of what is at hand and never changes, in its own order. Raises InvalidCursor, InvalidQuery."""
    if params.page is not None:
        start = (params.page - 1) * params.limit
        return Page(rows=items[start : start + params.limit], meta=_numbers(len(items), params.page, params.limit))
    values = [0] if params.cursor is None else _opened(params.cursor, params.listing)
    if len(values) != 1 or not isinstance(values[0], int):
        raise InvalidCursor(detail="The cursor is of another version.")
    end = values[0] + params.limit
    cursor = _cursor([end], params.listing) if end < len(items) else None
    return Page(rows=items[values[0] : end], meta={"cursor": cursor, "has_more": cursor is not None})


def _numbered(ordered: QuerySet[Any, Any], page: int, limit: int) -> Page:
    meta = _numbers(ordered.count(), page, limit)
    return Page(rows=list(ordered[(page - 1) * limit : page * limit]), meta=meta)


def _numbers(total: int, page: int, limit: int) -> dict[str, int]:
    total_pages = -(-total // limit)
    if page > max(total_pages, 1):
        raise InvalidQuery(detail=f"page is {page}, but there are {total_pages}.")
    return {"total": total, "page": page, "limit": limit, "total_pages": total_pages}


def _number(name: str, text: str | None, default: int, greatest: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= greatest):
        raise InvalidQuery(detail=f"{name} must be a number from 1 to {greatest}.")
    return int(text)


def _key_of(row: Any, key: Sequence[str], queryset: QuerySet[Any, Any] | None) -> list[Json]:
    if isinstance(row, Mapping):
        return [row[name] for name in key]
    if isinstance(row, tuple) and not hasattr(row, "_fields"):
        assert queryset is not None  # noqa: S101  a row of values_list() is one of a queryset's
        columns = list(queryset._fields or ())  # type: ignore[attr-defined]  # how values_list() keeps its columns
        return [row[columns.index(name)] for name in key]
    return [getattr(row, name) for name in key]


def _cursor(values: list[Json], listing: bytes) -> str:
    payload = json.dumps(values)
    signed = _signature(payload, listing, settings.SECRET_KEY) + payload
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def _read_cursor(text: str, listing: bytes, model: type[Model], key: Sequence[str]) -> tuple[Any, ...]:
    """The key's values that a cursor holds, as the model's fields read them."""
    values = _opened(text, listing)
    try:
        return tuple(_field(model, name).to_python(value) for name, value in zip(key, values, strict=True))
    except (ValueError, ValidationError):
        raise InvalidCursor(detail="The cursor is of another version.") from None


def _opened(text: str, listing: bytes) -> list[Json]:
    """What a cursor of this listing holds. Raises InvalidCursor for any other text."""
    try:
        raw = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError):
        raise InvalidCursor(detail="This is no cursor of ours.") from None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    if not any(hmac.compare_digest(signature, _signature(payload, listing, secret)) for secret in secrets):
        raise InvalidCursor(detail="The cursor was changed, or belongs to another listing.")
    values: list[Json] = json.loads_trusted(payload)
    return values


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    return next(field for field in model._meta.concrete_fields if field.name == name)


def _signature(payload: bytes, listing: bytes, secret: str) -> bytes:
    message = len(payload).to_bytes(4, "big") + payload + listing
    return hmac.digest(b"flowforge.cursor:" + secret.encode(), message, "sha256")[:_SIGNATURE_BYTES]


class CursorPagination(BasePagination):
    """DRF's face of `page_of`: numbered when `?page=` is given, else by cursor."""

    page: Page

    def paginate_queryset(  # type: ignore[override]  # of a queryset only: a list has no keys to go on from
        self, queryset: QuerySet[Any, Any], request: Request, view: Any = None
    ) -> list[Any]:
        self.page = page_of(queryset, page_params(request), key=getattr(view, "page_key", NEWEST_FIRST))
        return list(self.page.rows)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(Page(rows=data, meta=self.page.meta))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema  # the envelope is added to every answer by flowforge.api.openapi.finish


class NumberedPagination(CursorPagination):
    """Numbered even when `?page=` isn't given: the first page then."""

    def paginate_queryset(  # type: ignore[override]  # of a queryset only: a list has no keys to go on from
        self, queryset: QuerySet[Any, Any], request: Request, view: Any = None
    ) -> list[Any]:
        asked = page_params(request)
        numbered = PageParams(listing=asked.listing, limit=asked.limit, page=asked.page or 1)
        self.page = page_of(queryset, numbered, key=getattr(view, "page_key", NEWEST_FIRST))
        return list(self.page.rows)
