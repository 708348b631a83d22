"""Other versions of Python on this machine: on the PATH, and those that pyenv has installed and not chosen."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


def interpreter_of(major: int, minor: int) -> Path | None:
    """An interpreter of this version that can make environments."""
    for path in _candidates(f"python{major}.{minor}"):
        if version_of(path).startswith(f"{major}.{minor}."):
            return path
    return None


def version_of(python: Path) -> str:
    """In full; nothing if it does not run, as pyenv's shim for a version that is not chosen, or can make no environments."""
    command = [str(python), "-c", "import ensurepip, platform, ssl, venv; print(platform.python_version())"]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else ""


def _candidates(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/*/bin/{name}"))
