"""The image without a container engine: what the Dockerfile makes, on this machine's Debian, and programs in it as docker-compose.yml runs them.

`python -m tests.outside.image` says how long the API takes from its start to its first answer. Needs root, for chroot and mounts of its own.
"""

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import yaml

from bench.interpreters import interpreter_of
from tests.servers import Server, free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "image"
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "opt")
"""Of this machine, read only: what the base image has beside its Python, and where a package index may be."""
OWN = ("src", "srv", "app", "home", "root", "tmp", "proc", "dev", "run", "var/tmp", "usr")
TOOLS = ("unshare", "setpriv", "chroot", "mount", "groupadd", "useradd")
_START_S = 60.0
_FIRST_PERSON = 1000
"""From this number on users and groups are those of people; the base image has none."""


class Recipe(NamedTuple):
    """What a Dockerfile says."""

    python: tuple[int, int]
    environment: dict[str, str]
    steps: list[tuple[str, str]]
    """`COPY`, `RUN` and `WORKDIR` in their order."""
    user: tuple[int, int]
    entrypoint: list[str]
    folder: str


def recipe() -> Recipe:
    """Read the Dockerfile. Raises ValueError for a word that this file does not know."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE))
    python, environment, user, entrypoint, folder = (0, 0), dict[str, str](), (0, 0), list[str](), "/"
    steps = list[tuple[str, str]]()
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        match word:
            case "FROM":
                major, minor = re.fullmatch(r"python:(\d+)\.(\d+)-slim", rest).groups()  # type: ignore[union-attr] # another base: say so
                python = int(major), int(minor)
            case "ENV":
                environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "USER":
                uid, _, gid = rest.partition(":")
                user = int(uid), int(gid)
            case "ENTRYPOINT":
                entrypoint = yaml.safe_load(rest)
            case "COPY" | "RUN":
                steps.append((word, rest))
            case "WORKDIR":
                folder = rest
                steps.append((word, rest))
            case "EXPOSE" | "STOPSIGNAL" | "CMD":
                pass
            case _:
                raise ValueError(f"{word} in the Dockerfile: teach tests/outside/image.py what it does")
    return Recipe(python, environment, steps, user, entrypoint, folder)


def missing() -> str:
    """Why there can be no image here; nothing if there can."""
    if os.geteuid() != 0:
        return "making the image takes root: chroot and mounts"
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"there is no {absent[0]} here"
    version = recipe().python
    if interpreter_of(*version) is None:
        return "there is no Python {}.{} here".format(*version)
    if _run(["unshare", "--mount", "true"], check=False).returncode:
        return "this machine allows no mounts of its own"
    return ""


def make_once() -> None:
    """Make it, once for all processes of a run of the tests: the others wait for it."""
    run, made_in = os.environ.get("PYTEST_XDIST_TESTRUNUID", ""), FOLDER / "made-in-run"
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if run == "" or not made_in.exists() or made_in.read_text() != run:
            make()
            made_in.write_text(run)


def make() -> None:
    """Do what the Dockerfile says in `FOLDER`, with a copy of this machine's Python in the place of the base image's."""
    told = recipe()
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in OWN:
        (FOLDER / "root" / name).mkdir(parents=True)
    shutil.copytree("/etc", FOLDER / "root" / "etc", symlinks=True, ignore=shutil.ignore_patterns("shadow*", "gshadow*", "sudoers*"))
    for name in ("passwd", "group"):
        people = (FOLDER / "root" / "etc" / name).read_text().splitlines(keepends=True)
        (FOLDER / "root" / "etc" / name).write_text("".join(line for line in people if int(line.split(":")[2]) < _FIRST_PERSON))
    python = interpreter_of(*told.python)
    assert python is not None
    prefix = _run([str(python), "-c", "import sys; print(sys.base_prefix)"]).stdout.strip()
    name = "python{}.{}".format(*told.python)
    shutil.copytree(
        Path(prefix, "lib"),
        FOLDER / "local" / "lib",
        symlinks=True,
        ignore=shutil.ignore_patterns("site-packages", "test", "__pycache__", "*.a"),
    )
    (FOLDER / "local" / "bin").mkdir()
    shutil.copy2(Path(prefix, "bin", name), FOLDER / "local" / "bin" / name)
    for link in ("python", "python3"):
        (FOLDER / "local" / "bin" / link).symlink_to(name)
    inside("ldconfig && python -m ensurepip --default-pip", writable=True)
    folder = "/"
    for word, rest in told.steps:
        if word == "WORKDIR":
            folder = rest
            (FOLDER / "root" / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            *sources, to = rest.split()
            _copy(sources, FOLDER / "root" / Path(folder, to).relative_to("/"))
        else:
            settings = {
                name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_", "HTTP", "http", "no_"))
            }
            inside(rest, folder=folder, writable=True, environment=settings | told.environment)


def _copy(sources: Sequence[str], to: Path) -> None:
    for source in sources:
        path = ROOT / source
        if path.is_dir():
            shutil.copytree(path, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, to)


def command(
    words: Sequence[str],
    *,
    folder: str,
    environment: Mapping[str, str],
    user: tuple[int, int] | None = None,
    shown: Mapping[Path, str] | None = None,
) -> list[str]:
    """The words that run a program in the image: as root that may write, to make it; as a user with nothing, as docker-compose.yml runs it.

    shown: folders of this machine by where they are in the image.
    """
    root, mounts = FOLDER / "root", ["set -e", f"cd {shlex.quote(str(FOLDER))}", "mount --bind root root"]
    for name in SYSTEM:
        at = Path("/", name)
        if at.is_symlink():
            mounts.append(f"ln -sfn {at.readlink()} root/{name}")
        elif at.is_dir():
            mounts.append(f"mkdir -p root/{name} && mount --bind /{name} root/{name} && mount -o remount,bind,ro root/{name}")
    mounts += ["mount --bind local root/usr/local", "mount --rbind /dev root/dev", "mount --bind /proc root/proc"]
    for here, there in (shown or {}).items():
        mounts.append(f"mkdir -p root{there} && mount --bind {shlex.quote(str(here))} root{there}")
    inner = ["env", "-i", *[f"{name}={value}" for name, value in environment.items()], "sh", "-c", 'cd "$0" && exec "$@"', folder, *words]
    if user is not None:
        uid, gid = map(str, user)
        mounts += ["mount -t tmpfs -o mode=1777 tmpfs root/tmp"]
        mounts += [f"mount -o remount,bind,ro {mounted}" for mounted in ("root/usr/local", "root")]
        rights = ["--reuid", uid, "--regid", gid, "--clear-groups", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
        inner = ["setpriv", *rights, "--no-new-privs", "--", *inner]
    mounts.append(f"exec chroot {shlex.quote(str(root))} {shlex.join(inner)}")
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(mounts)]


def inside(
    script: str, *, folder: str = "/", writable: bool = False, environment: Mapping[str, str] | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in the image, to its end."""
    told = recipe()
    variables = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **(environment or told.environment)}
    return _run(command(["sh", "-c", script], folder=folder, environment=variables, user=None if writable else told.user), check=check)


def _run(words: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{shlex.join(words)[-300:]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done


def service(name: str) -> dict[str, object]:
    """What docker-compose.yml says of a service."""
    services: dict[str, dict[str, object]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return services[name]


class Started(NamedTuple):
    """The API in the image, and the port that it publishes."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu_s(self) -> float:
        """Processor seconds that it has had."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def api() -> Iterator[Started]:
    """The service `api` of docker-compose.yml, with a server of its own, and 127.0.0.1 and a free port in the place of 8000."""
    said, told, port = service("api"), recipe(), free_port()
    with Server() as server, tempfile.TemporaryFile() as output:
        server.folder.chmod(0o755)
        server.socket.chmod(0o777)
        environment = {**told.environment, "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/runner", "PYTHONPATH": "/app"}
        environment |= {"RUNNER_REDIS_URL": "unix:///run/redis/redis.sock", "RUNNER_APP": "runner.cli.demo.tasks:jobs"}
        words = [*list(said["entrypoint"]), *list(said["command"]), "--port", str(port)]  # type: ignore[call-overload]
        asked = command(
            words, folder=str(said["working_dir"]), environment=environment, user=told.user, shown={server.folder: "/run/redis"}
        )
        process = subprocess.Popen(asked, stdout=output, stderr=output)
        try:
            yield Started(process, port)
        finally:
            process.terminate()
            process.wait()


def until_healthy(started: Started) -> float:
    """Seconds until the API answers. Raises TimeoutError."""
    began_s = time.monotonic()
    while time.monotonic() < began_s + _START_S and started.process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{started.port}/healthz").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.01)
        else:
            return time.monotonic() - began_s
    raise TimeoutError(f"the API does not answer: status {started.process.poll()}")


def main() -> int:
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    make()
    for _ in range(5):
        with api() as started:
            seconds = until_healthy(started)
            print(f"answers after {seconds:.2f} s, of which {started.cpu_s():.2f} s are processor time of the process")
    return 0


if __name__ == "__main__":
    sys.exit(main())
