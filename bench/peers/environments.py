"""A virtual environment for each peer under .bench/peers/, made on demand from its pinned packages and kept until they change."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.environment import ROOT
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


def version(python: Path) -> str:
    """Of this interpreter."""
    command = [str(python), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S)


def _base(peer: Peer) -> Path:
    """This interpreter if it will do, otherwise the newest of this machine."""
    if sys.version_info[:2] >= peer.oldest_python:
        return Path(sys.executable)
    major, minor = peer.oldest_python
    for candidate in _candidates(major, minor):
        if _works(candidate):
            return candidate
    raise NoInterpreter(f"needs Python {major}.{minor} or newer: none on PATH or under pyenv")


def _candidates(major: int, oldest_minor: int) -> Iterator[Path]:
    """On PATH, and where pyenv keeps versions that are installed but not chosen."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for minor in range(_NEWEST_MINOR, oldest_minor - 1, -1):
        name = f"python{major}.{minor}"
        if found := shutil.which(name):
            yield Path(found)
        yield from sorted(pyenv.glob(f"versions/*/bin/{name}"))


def _works(python: Path) -> bool:
    return subprocess.run([python, "-c", "import ssl, venv"], check=False, capture_output=True).returncode == 0
