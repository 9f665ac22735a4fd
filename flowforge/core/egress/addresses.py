"""Which network addresses outgoing calls may reach (CWE-918, server-side request forgery).

An address is judged as a number, never as text: `127.1`, `0x7f000001` and `2130706433` are all 127.0.0.1 to a
resolver. The table is written out because `ipaddress.is_global` is not enough: it differs between Python versions
and calls 224.0.0.1, 192.88.99.1, ::127.0.0.1, 64:ff9b::7f00:1 and 2002:7f00:1:: global.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

WEB_PORTS: Final = frozenset({80, 443, 8080, 8443})
USER_PORTS: Final = range(1024, 65536)  # RFC 6335, 6: user and dynamic ports

# IANA IPv4 and IPv6 Special-Purpose Address Registries, and multicast
_SPECIAL: Final[tuple[Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay, deprecated
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # all that IANA has allocated to anybody
_NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052; 64:ff9b:1::/48 (RFC 8215) is for private use

_YES: Final = frozenset({"*", "1", "true", "yes", "on"})
_NO: Final = frozenset({"", "0", "false", "no", "off"})


def is_public(address: Address) -> bool:
    """Is it an address that anybody on the internet may own? Embedded IPv4 addresses have to be public too."""
    if isinstance(address, IPv4Address):
        return not _is_special(address)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None and not is_public(address.sixtofour):
        return False
    return address in _GLOBAL_UNICAST and not _is_special(address)


def _is_special(address: Address) -> bool:
    return any(address.version == network.version and address in network for network in _SPECIAL)


@dataclass(frozen=True, kw_only=True)
class AddressPolicy:
    """Public addresses on the web's ports, and beyond these what an operator allows."""

    everything: bool = False
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()  # lower case, without the final dot

    @classmethod
    def parse(cls, entries: Iterable[str]) -> "AddressPolicy":
        """From CIDR networks, single addresses and host names; `*` (or `on`, `true`, `1`) allows all."""
        networks: list[Network] = []
        hosts: set[str] = set()
        words = {entry.strip().lower() for entry in entries} - _NO
        for word in words - _YES:
            try:
                networks.append(ip_network(word, strict=False))
            except ValueError:
                hosts.add(word.rstrip("."))
        return cls(everything=bool(words & _YES), networks=tuple(networks), hosts=frozenset(hosts))

    def refusal(self, host: str, port: int, addresses: Iterable[str], ports: Container[int] = WEB_PORTS) -> str | None:
        """Why `host` may not be called, for people; None if it may. Every one of its addresses has to pass."""
        texts = list(addresses)
        if self.lists(host, texts):
            return None
        found = [ip_address(address) for address in texts]
        if not all(self._is_listed(address) or is_public(address) for address in found):
            return f"{host} is not a public address"
        if port not in ports:
            allowed = ", ".join(map(str, sorted(WEB_PORTS))) if ports is WEB_PORTS else "1024 to 65535"
            return f"port {port} of {host} is not one of {allowed}"
        return None

    def lists(self, host: str, addresses: Iterable[str]) -> bool:
        """Whether the operator has named this target: what not even the public internet may do is up to him."""
        if self.everything or host.lower().rstrip(".") in self.hosts:
            return True
        return all(self._is_listed(ip_address(address)) for address in addresses)

    def _is_listed(self, address: Address) -> bool:
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in self.networks)
