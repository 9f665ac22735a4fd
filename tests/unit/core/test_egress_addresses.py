"""Which addresses may be called. The same forms over a real client: test_egress.py."""

import _socket
import socket

import pytest

from flowforge.core.egress import AddressPolicy

DEFAULT = AddressPolicy.parse([])

PUBLIC = """
    1.1.1.1  8.8.8.8  9.255.255.255  11.0.0.0  100.63.255.255  100.128.0.0  126.255.255.255  128.0.0.1
    169.253.255.255  169.255.0.0  172.15.255.255  172.32.0.0  192.0.1.1  192.167.255.255  192.169.0.0
    198.17.255.255  198.20.0.0  223.255.255.255
    2606:4700:4700::1111  2001:4860:4860::8888  2a00:1450::1  ::ffff:8.8.8.8  64:ff9b::808:808  2002:808:808::1
""".split()  # noqa: SIM905  a table to be read

REFUSED = """
    0.0.0.0  0.1.2.3  10.0.0.1  10.255.255.255  100.64.0.1  100.127.255.255  127.0.0.1  127.255.255.254
    169.254.169.254  172.16.0.1  172.31.255.255  192.0.0.1  192.0.0.8  192.0.0.170  192.0.2.1  192.88.99.1
    192.168.0.1  198.18.0.1  198.19.255.255  198.51.100.1  203.0.113.1  224.0.0.1  239.255.255.255  240.0.0.1
    255.255.255.255
    ::  ::1  ::127.0.0.1  ::8.8.8.8  ::ffff:127.0.0.1  ::ffff:169.254.169.254  ::ffff:0:127.0.0.1
    64:ff9b::7f00:1  64:ff9b::a9fe:a9fe  64:ff9b:1::1  64:ff9b:1::808:808  100::1  1000::1
    2001::1  2001:0:4136:e378:8000:63bf:3fff:fdd2  2001:2::1  2001:10::1  2001:20::1  2001:db8::1  3fff::1
    2002:7f00:1::  2002:a00:1::1  2002:c0a8:1::1  4000::1  5f00::1  fc00::1  fd00:ec2::254  fe80::1  fec0::1
    ff02::1  ff0e::1
""".split()  # noqa: SIM905  a table to be read

# how a resolver of the system reads what is no ordinary address
ODD_FORMS = [
    "2130706433",
    "0x7f000001",
    "127.1",
    "017700000001",
    "0177.0.0.1",
    "0",
    "127.0.0.1.",
    "0x7f.1",
    "①②⑦.0.0.1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_it_works(address: str) -> None:
    assert DEFAULT.refusal("example.com", 443, [address]) is None


@pytest.mark.parametrize("address", REFUSED)
def test_it_rejects_what_is_not_public(address: str) -> None:
    assert DEFAULT.refusal("example.com", 443, [address]) == "example.com is not a public address"


@pytest.mark.parametrize("form", ODD_FORMS)
def test_it_rejects_odd_forms(form: str, unguarded_resolver: None) -> None:
    try:
        found = [str(info[4][0]) for info in socket.getaddrinfo(form, 443, type=socket.SOCK_STREAM)]
    except OSError:
        pytest.skip("this system's resolver does not take it for an address")
    assert DEFAULT.refusal(form, 443, found) is not None


@pytest.fixture
def unguarded_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' guard refuses all names; a numeric host leaves no machine."""

    def numeric_only(host: str, port: int, **kwargs: int) -> object:
        return _socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", numeric_only)


def test_it_rejects_a_host_of_which_one_address_is_not_public() -> None:
    assert DEFAULT.refusal("example.com", 443, ["8.8.8.8", "10.0.0.1"]) is not None


@pytest.mark.parametrize("port", [22, 25, 3000, 6379, 5432, 0])
def test_it_rejects_other_ports_than_the_webs(port: int) -> None:
    assert DEFAULT.refusal("example.com", port, ["8.8.8.8"]) == (
        f"port {port} of example.com is not one of 80, 443, 8080, 8443"
    )


@pytest.mark.parametrize(
    ("entries", "host", "address"),
    [
        (["10.0.0.0/8"], "internal.example.com", "10.1.2.3"),
        (["10.1.2.3"], "internal.example.com", "10.1.2.3"),
        (["10.1.2.3/8"], "internal.example.com", "10.9.9.9"),
        (["127.0.0.0/8"], "a", "::ffff:127.0.0.1"),
        (["fd00::/8"], "a", "fd00::1"),
        (["Internal.Example.com"], "internal.example.COM.", "10.1.2.3"),
        (["db.internal", " 192.168.0.0/16 "], "a", "192.168.7.7"),
        (["*"], "a", "127.0.0.1"),
        (["1"], "a", "169.254.169.254"),
        (["on"], "a", "169.254.169.254"),
        (["TRUE"], "a", "169.254.169.254"),
    ],
)
def test_an_operator_allows_more(entries: list[str], host: str, address: str) -> None:
    assert AddressPolicy.parse(entries).refusal(host, 5000, [address]) is None


@pytest.mark.parametrize(
    ("entries", "host", "addresses"),
    [
        (["10.0.0.0/8"], "a", ["10.0.0.1", "127.0.0.1"]),
        (["10.0.0.0/8"], "a", ["64:ff9b::a00:1"]),
        (["10.0.0.0/8"], "a", ["::10.0.0.1"]),
        (["example.com"], "evil.example.com", ["10.0.0.1"]),
        (["example.com"], "example.com.evil.org", ["10.0.0.1"]),
        (["off"], "off", ["10.0.0.1"]),
        (["0", "false", "no", ""], "a", ["0.0.0.0"]),
    ],
)
def test_it_rejects_what_the_operator_did_not_allow(entries: list[str], host: str, addresses: list[str]) -> None:
    assert AddressPolicy.parse(entries).refusal(host, 443, addresses) is not None


def test_an_allowed_and_a_public_address_may_stand_together() -> None:
    policy = AddressPolicy.parse(["10.0.0.0/8"])
    assert policy.refusal("split-horizon.example.com", 443, ["10.0.0.1", "8.8.8.8"]) is None
    assert policy.refusal("split-horizon.example.com", 5000, ["10.0.0.1", "8.8.8.8"]) is not None
