"""URLs of servers: what each scheme means, and that a wrong one is refused in one line that says what to write and no password."""

from pathlib import Path

import pytest

from runner.connection import embedded_folder, located, parse_address
from runner.connection.address import Address, Node, Topology
from runner.errors import ConfigurationError
from runner.masking import has_password, shown_url

ONE = (Node("redis.example", 6380),)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://redis.example:6380/2", Address(Topology.single, ONE, db=2)),
        ("redis://redis.example", Address(Topology.single, (Node("redis.example", 6379),))),
        ("redis://redis.example:6380?db=3", Address(Topology.single, ONE, db=3)),
        ("redis://me:p%40ss@redis.example:6380", Address(Topology.single, ONE, username="me", password="p@ss")),
        ("redis://:secret@redis.example:6380", Address(Topology.single, ONE, password="secret")),
        ("redis://[::1]:6380/0", Address(Topology.single, (Node("::1", 6380),))),
        ("rediss://redis.example:6380/0", Address(Topology.single, ONE, tls={})),
        (
            "rediss://redis.example:6380?ssl_ca_certs=/ca.pem&ssl_check_hostname=false",
            Address(Topology.single, ONE, tls={"ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False}),
        ),
        ("unix:///run/redis.sock?db=1", Address(Topology.socket, path="/run/redis.sock", db=1)),
        ("unix:///run/a%20b.sock?password=x", Address(Topology.socket, path="/run/a b.sock", password="x")),
        (
            "redis+sentinel://me:secret@one,two:26380/shop/4?sentinel_password=other",
            Address(
                Topology.sentinel,
                (Node("one", 26379), Node("two", 26380)),
                service="shop",
                db=4,
                username="me",
                password="secret",
                sentinel_password="other",
            ),
        ),
        ("rediss+sentinel://one/shop", Address(Topology.sentinel, (Node("one", 26379),), service="shop", tls={})),
        ("redis+cluster://one:7000,two:7001", Address(Topology.cluster, (Node("one", 7000), Node("two", 7001)))),
        ("rediss+cluster://one:7000/0", Address(Topology.cluster, (Node("one", 7000),), tls={})),
    ],
)
def test_each_scheme_names_its_servers(url: str, address: Address) -> None:
    assert parse_address(url) == address


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("http://redis.example", "its scheme is 'http'; write redis://"),
        ("redis.example:6379", "its scheme is 'redis.example'"),
        ("", "its scheme is ''"),
        ("redis://", "a host is missing"),
        ("redis://one:port", "a port is no number from 1 to 65535"),
        ("redis://one:0", "a port is no number"),
        ("redis://one:70000", "a port is no number"),
        ("redis://one,two", "it names several servers"),
        ("redis://one/first", "the database is 'first': write a number"),
        ("redis://one?db=-1", "the database is '-1'"),
        ("redis://one/1/2", "the database is '1/2'"),
        ("redis://one?timeout=3", "option 'timeout' is not known here (known: db, password, username)"),
        ("redis://one?ssl_ca_certs=/x", "option 'ssl_ca_certs' is not known here"),
        ("rediss://one?ssl_cert_reqs=maybe", "ssl_cert_reqs is 'maybe': write none, optional or required"),
        ("unix://redis.sock", "the path of the socket must begin with /"),
        ("unix://", "the path of the socket must begin with /"),
        ("redis+sentinel://one:26379", "it does not say which service"),
        ("redis+sentinel://one,/shop", "a host is missing"),
        ("redis+cluster://one/1", "a cluster has database 0 only, not 1"),
    ],
)
def test_a_url_that_cannot_work_is_refused_with_the_remedy(url: str, what: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_address(url)

    assert str(raised.value).startswith(f"Redis URL {shown_url(url)!r} cannot be used: ")
    assert what in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:s3cr3t@one:port",
        "redis://me:s3/cr3t@one",
        "redis://me:123/s3cr3t@one",
        "redis://me:s3?cr3t@one",
        "redis://me:s3#cr3t@one",
        "redis://one,two?password=s3cr3t",
        "rediss://one,two?ssl_password=s3cr3t",
        "redis+sentinel://me:s3cr3t@one",
        "redis+sentinel://one/?sentinel_password=s3cr3t",
        "me:s3cr3t@one",
        "s3cr3t@one",
        "redis:/me:s3cr3t@one",
        "redis//me:s3cr3t@one",
        "me:s3cr3t@redis://one",
        "redis://one,two?Password=s3cr3t",
        "redis://one,two?PASS=s3cr3t",
        "redis://one,two?pass%77ord=s3cr3t",
        "redis://one,two?s3cr3t",
        "redis://one,two#s3cr3t",
        "redis://one/0?password=s3#cr3t",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_address(url)

    assert "***" in str(raised.value)
    assert not any(part in str(raised.value) for part in ("s3", "cr3t"))
    assert "***" in shown_url(url)


def test_what_is_no_password_is_shown() -> None:
    for url in ("redis://one:6379/2?db=1", "rediss://one?ssl_ca_certs=/x/ca.pem", "unix:///run/redis.sock", "embedded://data"):
        assert shown_url(url) == url
        assert not has_password(url)
    assert shown_url("redis://me:s3cr3t@one:6379/2") == "redis://me:***@one:6379/2"


def test_an_address_does_not_print_its_passwords() -> None:
    assert "s3cr3t" not in repr(parse_address("redis+sentinel://me:s3cr3t@one/shop?sentinel_password=s3cr3t"))


def test_the_embedded_server_has_a_folder() -> None:
    assert embedded_folder("embedded://") == Path()
    assert embedded_folder("embedded:///var/lib/shop") == Path("/var/lib/shop")
    assert embedded_folder("embedded://data/a%20b") == Path("data/a b")
    assert embedded_folder("redis://one") is None
    assert embedded_folder("embedded") is None


def test_a_certificate_that_is_not_there_is_no_outage(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ssl_ca_certs names '.*/ca.pem', which is not there"):
        located(f"rediss://one?ssl_ca_certs={tmp_path}/ca.pem")

    (tmp_path / "ca.pem").touch()
    located(f"rediss://one?ssl_ca_certs={tmp_path}/ca.pem")
