"""Files and folders of this user alone: nobody else can put a link, a lock or a server in their place, or read them."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from runner.errors import ConfigurationError

_REMEDY = "remove it, use another folder or set RUNNER_REDIS_URL"


def make_own_folder(path: Path) -> None:
    """The folder, made if it is not there. One of this user that others may enter is closed to them.

    Raises `ConfigurationError` if it is a link, or another user's.
    """
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    check_own_folder(path)


def check_own_folder(path: Path) -> None:
    """As `make_own_folder`, for a folder that is there."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigurationError(f"{path} is a link or no folder ({error.strerror}): {_REMEDY}") from None
    try:
        found = os.fstat(folder)
        if found.st_uid != os.getuid():
            raise ConfigurationError(f"{path} belongs to user {found.st_uid}, not to {os.getuid()}: {_REMEDY}")
        if stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(folder, 0o700)
    finally:
        os.close(folder)


def open_own(path: Path, flags: int) -> int:
    """A descriptor of a file of this user, made if it is not there. Raises `ConfigurationError` if it is a link, or another user's."""
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} is a link or cannot be opened ({error.strerror}): {_REMEDY}") from None
    found = os.fstat(file)
    if found.st_uid != os.getuid() or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(file)
        raise ConfigurationError(f"{path} is no file of this user alone: {_REMEDY}")
    if stat.S_IMODE(found.st_mode) & 0o077:
        os.fchmod(file, 0o600)
    return file


def refuse_link(path: Path) -> None:
    """For what the server itself opens. Raises `ConfigurationError`."""
    if path.is_symlink():
        raise ConfigurationError(f"{path} is a link: {_REMEDY}")
