"""What is sent to Redis was there in 6.2. The suite can also run on that version (`redis62`); this tells which command is too new."""

import re
from pathlib import Path

import pytest

from runner.connection.client import command
from runner.store.doctor import OLDEST_VERSION
from runner.store.job_store import JobStore
from runner.store.permissions import REHEARSAL
from runner.store.scripts import load, script_names
from tests.conftest import OWN_KINDS
from tests.servers import REDIS62

LUA = Path(__file__).parents[2] / "runner" / "store" / "lua"
OTHERS = {"AUTH", "CLUSTER SLOTS", "INFO", "ROLE", "SELECT", "SUBSCRIBE", "UNSUBSCRIBE"}
"""Sent by the client library and the locator, beside those that are tried."""
NEWER = re.compile(
    r"redis\.call\('P?EXPIRE(?:AT)?'[^)]*'(?:NX|XX|GT|LT)'|redis\.(?:REDIS_VERSION|acl_check_cmd|register_function)|\bserver\.\w"
)
"""Options and functions of 7.0 and later that a script could fall for."""


def test_every_command_of_the_scripts_is_tried_when_the_server_is_checked() -> None:
    calls = {call for name in script_names() for call in re.findall(r"redis\.p?call\('([A-Z]+)'(?:, '([A-Z]+)')?", load(name).source)}
    used = {f"{word} {second}" if word in ("XGROUP", "XINFO") else word for word, second in calls}

    assert used - set(REHEARSAL) == set()


@pytest.mark.skipif(REDIS62 in OWN_KINDS, reason="this version does not know the age of its commands")
async def test_every_command_is_as_old_as_the_oldest_server(store: JobStore) -> None:
    too_new = {}
    for name in [*REHEARSAL, *OTHERS]:
        word, *second = name.split()
        fields = await command(store.redis, "COMMAND", "DOCS", word)
        found = dict(zip(fields[1][::2], fields[1][1::2], strict=True))
        if second:
            parts = found[b"subcommands"]
            inner = dict(zip(parts[::2], parts[1::2], strict=True))[f"{word}|{second[0]}".lower().encode()]
            found = dict(zip(inner[::2], inner[1::2], strict=True))
        since = tuple(int(part) for part in found[b"since"].decode().split(".")[:2])
        if since > OLDEST_VERSION:
            too_new[name] = since
    assert too_new == {}


def test_no_script_uses_what_only_newer_servers_have() -> None:
    texts = {path.name: path.read_text() for path in LUA.rglob("*.lua")}

    assert {"claim.lua", "base.lua"} < texts.keys()
    assert [name for name, text in texts.items() if NEWER.search(text)] == []
