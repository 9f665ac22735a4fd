"""Host patterns: where a credential may be sent."""

import pytest

from flowforge.steps.hosts import admits, host_of, normalised


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("*", "anything.example:443"),
        ("api.example.com", "API.example.com.:443"),
        ("api.example.com", "api.example.com"),
        ("*.example.com", "a.b.example.com:8443"),
        ("127.0.0.1:9000", "127.0.0.1:9000"),
        ("[::1]", "[::1]:443"),
        ("*:8443", "api.example.com:8443"),
    ],
)
def test_it_works(pattern: str, host: str) -> None:
    assert admits([pattern], host)
    assert normalised(pattern) == pattern


@pytest.mark.parametrize(
    ("pattern", "host"),
    [
        ("api.example.com", "evil-api.example.com:443"),
        ("api.example.com", "api.example.com.evil.test:443"),
        ("*.example.com", "example.com:443"),
        ("*.example.com", "evilexample.com:443"),
        ("*.example.com", ".example.com:443"),
        ("127.0.0.1:9000", "127.0.0.1:9001"),
        ("[::1]", "[::2]:443"),
    ],
)
def test_it_rejects_other_hosts(pattern: str, host: str) -> None:
    assert not admits([pattern], host)


def test_it_rejects_everything_without_a_pattern() -> None:
    assert not admits([], "api.example.com:443")


@pytest.mark.parametrize(
    "text", ["", "https://example.com", "a b", "a.*.com", "**", "*example.com", "example.com/x", "a:b", "u@h", "x\n"]
)
def test_it_rejects_what_is_no_pattern(text: str) -> None:
    assert normalised(text) is None or text == "x\n"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.example.com/x", "api.example.com:443"),
        ("http://API.example.com:81", "api.example.com:81"),
        ("https://api.example.com/{{ inputs.x }}", "api.example.com:443"),
        ("https://api.example.com?x={{ inputs.x }}", "api.example.com:443"),
        ("http://[::1]/", "[::1]:80"),
        ("https://{{ inputs.host }}/x", None),
        ("https://api.example.com{{ inputs.host }}", None),
        ("https://api.example.com:{{ inputs.port }}/", None),
        ("{{ inputs.url }}", None),
        ("ftp://example.com", None),
    ],
)
def test_the_host_of_a_url_is_known_as_far_as_it_is_written(url: str, host: str | None) -> None:
    assert host_of(url) == host
