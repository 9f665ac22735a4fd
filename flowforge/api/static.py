"""The static files of the admin and of the API's pages, from where their packages keep them.

Served in the request's own thread: middleware that is asynchronous would put two changes of thread, about a
millisecond, under every call of the API. A large site puts a web server in front of /static/.
"""

from collections.abc import Callable

from django.contrib.staticfiles.views import serve
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

PREFIX = "/static/"
MAX_AGE_SECONDS = 3600


class StaticMiddleware:
    """Answers what is under /static/, passes on the rest."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PREFIX):
            return self.get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        try:
            response = serve(request, request.path[len(PREFIX) :], insecure=True)  # "insecure": also without DEBUG
        except Http404:
            return HttpResponse("Not found", status=404, content_type="text/plain")
        response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
        return response
