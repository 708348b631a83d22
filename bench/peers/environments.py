"""A virtual environment for each peer under .bench/peers/, made on demand from its pinned packages and kept until they change."""

import shutil
import subprocess
import sys
from pathlib import Path

from bench.environment import ROOT
from bench.interpreters import interpreter_of
from bench.peers.catalogue import OURS, Peer

_FOLDER = ROOT / ".bench" / "peers"
_NEWEST_MINOR = 14
_INSTALL_TIMEOUT_S = 600.0


class NoInterpreter(LookupError):
    """The peer needs a newer Python than this machine has."""


def interpreter(peer: Peer) -> Path:
    """The Python of the peer's environment, which is made or renewed first. Raises NoInterpreter, or CalledProcessError from pip."""
    if peer == OURS:
        return Path(sys.executable)
    folder = _FOLDER / peer.name
    python, made_from = folder / "bin" / "python", folder / "made-from.txt"
    wanted = peer.requirements.read_text()
    if not made_from.exists() or made_from.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _run(str(_base(peer)), "-m", "venv", str(folder))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", str(peer.requirements))
        made_from.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)


def _base(peer: Peer) -> Path:
    """This interpreter if it will do, otherwise the newest of this machine."""
    if sys.version_info[:2] >= peer.oldest_python:
        return Path(sys.executable)
    major, minor = peer.oldest_python
    for newer in range(_NEWEST_MINOR, minor - 1, -1):
        if found := interpreter_of(major, newer):
            return found
    raise NoInterpreter(f"needs Python {major}.{minor} or newer: none on PATH or under pyenv")
