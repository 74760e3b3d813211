"""Which hosts of web addresses are read: public ones, and those of this network that are named.

Whoever writes a line of a manifest chooses an address that a worker then asks for. It may be the
service that gives the worker its credentials, or a service of the network that trusts whoever is
in it. So what an address leads to is looked at, and not how it is written: names are resolved
first, redirects are addresses again, and decimal, octal, hexadecimal and mapped forms are numbers.
"""

import ipaddress
import os
import re
import socket
import unicodedata
import urllib.parse

REFUSED_HOST = (
    "its host is not public: addresses of this machine, this network or its metadata service are "
    "not read (IMGCLS_PRIVATE_HOSTS names those that may be)"
)

_VARIABLE = "IMGCLS_PRIVATE_HOSTS"
_WEB = re.compile(r"https?:", re.IGNORECASE)
_SERVICES = frozenset({"metadata", "metadata.google.internal", "instance-data"})
_NEVER = (
    *("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "100.100.100.200/32"),
    *("168.63.129.16/32", "192.0.0.192/32"),
)
"""Link-local addresses and metadata services of clouds, whatever is named."""
_NEVER_NETWORKS = tuple(map(ipaddress.ip_network, _NEVER))

_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_MAX_NAME_CHARS = 253
_LABEL = re.compile(r"(?:[A-Za-z0-9_-]|[^\x00-\x7f\s]){1,63}")
_PUNYCODE = "xn--"

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class PrivateHostError(Exception):
    """A web address leads to where nothing is read."""


def find_host_problem(url: str) -> str | None:
    """Why a web address is refused by how it is written; None where a resolver has to tell."""
    if not _WEB.match(url):
        return None
    try:
        host = urllib.parse.urlsplit(url.replace("\\", "/")).hostname or ""
        host = urllib.parse.unquote(host)
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except ValueError:
        return None  # no address at all, which is said elsewhere
    host = host.rstrip(".").lower()
    if host in _SERVICES:
        return REFUSED_HOST
    is_local = host == "localhost" or host.endswith(".localhost")
    address = _parse(host)
    if address is not None:
        is_local = not is_readable(host, address)
    return REFUSED_HOST if is_local and not _is_named(host) else None


def is_host(authority: str) -> bool:
    """Whether the host of a web address is a name, or a number, that a host can have.

    Args:
        authority: the host, with a user and a port or not; and a query, where there is no slash.
    """
    host = re.split(r"[?#\\]", authority, maxsplit=1)[0].rpartition("@")[2]
    if host.startswith("["):  # a number of IPv6
        return True
    name = host.partition(":")[0].removesuffix(".")
    return len(name) <= _MAX_NAME_CHARS and all(map(_is_label, _DOTS.split(name)))


def _is_label(label: str) -> bool:
    """Whether a part of a name between dots is one: not empty, and no mark without its letter."""
    if not _LABEL.fullmatch(label) or unicodedata.category(label[0]).startswith("M"):
        return False
    if not label.lower().startswith(_PUNYCODE):
        return True
    try:
        return bool(label.removeprefix(label[: len(_PUNYCODE)]).encode("ascii").decode("punycode"))
    except UnicodeError:
        return False


def is_readable(host: str, address: _Address) -> bool:
    """Whether a host is read that has this address."""
    inner = _unwrap(address)
    if any(each in network for each in (address, inner) for network in _NEVER_NETWORKS):
        return False
    return (inner.is_global and not inner.is_multicast) or _is_named(host)


def check_address(host: str, text: str) -> None:
    """Checks what a name was resolved to.

    Raises:
        PrivateHostError: nothing is read there.
    """
    if host.rstrip(".").lower() in _SERVICES:
        raise PrivateHostError
    address = _parse(text.partition("%")[0])
    if address is None or not is_readable(host, address):
        raise PrivateHostError


def _is_named(host: str) -> bool:
    named = os.environ.get(_VARIABLE, "").lower().split(",")
    return host.rstrip(".").lower() in [each.strip() for each in named if each.strip()]


def _parse(host: str) -> _Address | None:
    """A number in any spelling that C's resolver takes: 0x7f.1, 017700000001, 2130706433."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _unwrap(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, Teredo, NAT64, compatible."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    teredo = address.teredo
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    is_wrapping = address in ipaddress.ip_network("64:ff9b::/96") or 1 < int(address) < 1 << 32
    return (
        address.ipv4_mapped
        or address.sixtofour
        or (teredo[1] if teredo else None)
        or (last if is_wrapping else address)
    )
