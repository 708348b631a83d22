"""Address: a Redis URL, parsed and checked. Opens nothing."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from runner.errors import ConfigurationError
from runner.masking import shown_url

DEFAULT_PORT = 6379
SENTINEL_PORT = 26379
EMBEDDED = "embedded"
_EXAMPLES = (
    "redis://host:6379/0, rediss://host:6379/0, unix:///path/redis.sock, redis+sentinel://host:26379,host2:26379/service,"
    " redis+cluster://host:7000,host2:7000 or embedded://"
)


class Topology(enum.Enum):
    """How the locator finds the one server that holds a queue."""

    single = "single"
    socket = "socket"
    sentinel = "sentinel"
    cluster = "cluster"


class Node(NamedTuple):
    """One process that listens on TCP."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """A checked URL. `nodes` are the server itself, the Sentinels, or any nodes of the cluster."""

    topology: Topology
    nodes: tuple[Node, ...] = ()
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Mapping[str, str | bool] | None = None
    """None without TLS; otherwise the options of the URL about certificates."""


_TOPOLOGIES = {
    "redis": (Topology.single, False),
    "rediss": (Topology.single, True),
    "unix": (Topology.socket, False),
    "redis+sentinel": (Topology.sentinel, False),
    "rediss+sentinel": (Topology.sentinel, True),
    "redis+cluster": (Topology.cluster, False),
    "rediss+cluster": (Topology.cluster, True),
}
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile", "ssl_password")


def parse_address(url: str) -> Address:
    """The address a URL names. Raises `ConfigurationError` that names the URL, without its passwords, and what to write instead."""
    try:
        return _parsed(url)
    except ValueError as error:
        raise ConfigurationError(f"Redis URL {shown_url(url)!r} cannot be used: {error}") from None


def embedded_folder(url: str) -> Path | None:
    """The folder of an `embedded://[folder]` URL, by default the current one; None for any other URL."""
    scheme, separator, folder = url.partition("://")
    return Path(unquote(folder) or ".") if separator and scheme == EMBEDDED else None


def _parsed(url: str) -> Address:
    parts = urlsplit(url)
    if parts.scheme not in _TOPOLOGIES:
        raise ValueError(f"its scheme is {parts.scheme!r}; write {_EXAMPLES}")
    if parts.fragment or "@" in parts.path + parts.query:
        raise ValueError("one of the characters @ / ? # has no meaning where it is; in a name or password write %40, %2F, %3F, %23")
    topology, tls = _TOPOLOGIES[parts.scheme]
    options = _options(parts.query, _known_options(topology, tls=tls))
    credentials, at, hosts = parts.netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    address = Address(
        topology,
        nodes=_nodes(hosts, SENTINEL_PORT if topology is Topology.sentinel else DEFAULT_PORT) if topology is not Topology.socket else (),
        path=unquote(parts.path) if topology is Topology.socket else "",
        service=unquote(parts.path.strip("/").partition("/")[0]) if topology is Topology.sentinel else "",
        db=_db(topology, parts.path, options),
        username=unquote(username) or options.get("username"),
        password=unquote(password) if at and password else options.get("password"),
        sentinel_username=options.get("sentinel_username"),
        sentinel_password=options.get("sentinel_password"),
        tls=_tls(options) if tls else None,
    )
    _check(address, hosts)
    return address


def _check(address: Address, hosts: str) -> None:
    if address.topology is Topology.socket and (hosts or not address.path.startswith("/")):
        raise ValueError("the path of the socket must begin with /, as in unix:///run/redis.sock")
    if address.topology is Topology.single and len(address.nodes) > 1:
        raise ValueError("it names several servers: write redis+sentinel://... or redis+cluster://... for what they are")
    if address.topology is Topology.sentinel and not address.service:
        raise ValueError("it does not say which service: write redis+sentinel://host:26379,host2:26379/service, as in `sentinel monitor`")
    if address.topology is Topology.cluster and address.db != 0:
        raise ValueError(f"a cluster has database 0 only, not {address.db}: leave it out")


def _known_options(topology: Topology, *, tls: bool) -> tuple[str, ...]:
    known: tuple[str, ...] = ("db", "password", "username")
    known += ("sentinel_password", "sentinel_username") if topology is Topology.sentinel else ()
    return known + (_TLS_OPTIONS if tls else ())


def _options(query: str, known: tuple[str, ...]) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options.keys() - set(known):
        shown = f"option {name!r}" if options[name] else "an option without a value"  # which could be a part of a password
        raise ValueError(f"{shown} is not known here (known: {', '.join(known)})")
    return options


def _tls(options: Mapping[str, str]) -> dict[str, str | bool]:
    found: dict[str, str | bool] = {name: value for name, value in options.items() if name in _TLS_OPTIONS}
    if "ssl_check_hostname" in found:
        found["ssl_check_hostname"] = str(found["ssl_check_hostname"]).lower() not in ("0", "false", "no")
    if found.get("ssl_cert_reqs", "required") not in ("none", "optional", "required"):
        raise ValueError(f"ssl_cert_reqs is {found['ssl_cert_reqs']!r}: write none, optional or required")
    return found


def _db(topology: Topology, path: str, options: Mapping[str, str]) -> int:
    words = path.strip("/").split("/") if topology is not Topology.socket else []
    if topology is Topology.sentinel:
        words = words[1:]
    text = words[0] if words and words[0] else options.get("db", "0")
    if len(words) > 1 or not text.isascii() or not text.isdecimal():
        raise ValueError(f"the database is {'/'.join(words) or text!r}: write a number such as 0")
    return int(text)


def _nodes(text: str, default_port: int) -> tuple[Node, ...]:
    return tuple(_node(part.strip(), default_port) for part in text.split(","))


def _node(text: str, default_port: int) -> Node:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(f"a host is missing; write {_EXAMPLES}")
    if not port:
        return Node(unquote(host), default_port)
    if not port.isascii() or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"a port is no number from 1 to 65535; write {_EXAMPLES}")
    return Node(unquote(host), int(port))
