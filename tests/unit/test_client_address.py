"""From which address a request comes: nothing a caller writes can change whose bucket it is."""

from collections.abc import Sequence
from typing import Any

import pytest

from runner import ConfigurationError
from runner.asgi.client_address import ClientAddresses

PEER = "198.51.100.7"
PROXY = "10.0.0.1"


def scope(peer: str | None, *forwarded: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    return {"type": "http", "client": None if peer is None else (peer, 1234), "headers": headers}


def address(trusted: Sequence[str], peer: str | None, *forwarded: str) -> str:
    return ClientAddresses(trusted).of(scope(peer, *forwarded))


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert address([], PEER, "203.0.113.1") == PEER


def test_a_stranger_is_not_believed() -> None:
    assert address(["10.0.0.0/8"], PEER, "203.0.113.1") == PEER


def test_a_trusted_proxy_is_believed_as_to_whom_it_saw() -> None:
    assert address(["10.0.0.0/8"], PROXY, PEER) == PEER


def test_what_stands_left_of_the_first_stranger_is_invented() -> None:
    assert address(["10.0.0.0/8"], PROXY, f"203.0.113.1, 10.0.0.9, {PEER}") == PEER


def test_a_chain_of_trusted_proxies_is_followed_to_its_end() -> None:
    assert address(["10.0.0.0/8", "192.0.2.1"], PROXY, f"203.0.113.1, {PEER}, 192.0.2.1, 10.0.0.2") == PEER


def test_lines_of_the_header_are_one_list() -> None:
    assert address(["10.0.0.0/8"], PROXY, "203.0.113.1", f"{PEER}, 10.0.0.2") == PEER


def test_if_all_are_trusted_the_outermost_counts() -> None:
    assert address(["10.0.0.0/8"], PROXY, "10.0.0.3, 10.0.0.2") == "10.0.0.3"


def test_a_trusted_proxy_that_says_nothing_is_the_client() -> None:
    assert address(["10.0.0.0/8"], PROXY) == PROXY


@pytest.mark.parametrize("hop", ["unknown", "_hidden", "", "999.1.1.1", "10.0.0.2.evil.example"])
def test_a_hop_that_is_no_address_ends_the_chain(hop: str) -> None:
    assert address(["10.0.0.0/8"], PROXY, f"{PEER}, {hop}") == PROXY


@pytest.mark.parametrize("hop", [f"{PEER}:4711", f" {PEER} ", f"::ffff:{PEER}", f"[::ffff:{PEER}]:4711"])
def test_ports_brackets_and_mapped_addresses_make_no_other_client(hop: str) -> None:
    assert address(["10.0.0.0/8"], PROXY, hop) == PEER


def test_a_mapped_proxy_is_the_same_proxy() -> None:
    assert address(["10.0.0.0/8"], f"::ffff:{PROXY}", PEER) == PEER


@pytest.mark.parametrize("peer", ["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:0DB8:1:2:0::9%eth0"])
def test_a_64_of_ipv6_is_one_client(peer: str) -> None:
    assert address([], peer) == "2001:db8:1:2::"


def test_the_next_64_is_another_client() -> None:
    assert address([], "2001:db8:1:3::1") != address([], "2001:db8:1:2::1")


def test_a_peer_on_a_unix_socket_is_believed_only_if_said_so() -> None:
    assert address([], None, PEER) == "unknown"
    assert address(["10.0.0.0/8"], None, PEER) == "unknown"
    assert address(["unix"], None, PEER) == PEER


def test_a_unix_socket_does_not_trust_addresses() -> None:
    assert address(["unix"], PROXY, "203.0.113.1") == PROXY


@pytest.mark.parametrize("trusted", ["10.0.0.0/8", ["*"], ["10.0.0.1/8"], ["proxy.example"]])
def test_what_is_no_list_of_networks_is_refused(trusted: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        ClientAddresses(trusted)
