"""The commands about keys of the HTTP service: create, list, rotate, revoke and check them. A secret is printed once, on stdout alone."""

import sys
from typing import Annotated

import typer

from runner.access import PRESETS, ApiKey, Scope
from runner.cli.output import columns, complain, say, say_json
from runner.cli.queue_client import RedisTarget, about_redis
from runner.client import NewKey
from runner.errors import ConfigurationError

app = typer.Typer(help="Keys of the HTTP service: whoever sends one gets its rights.", no_args_is_help=True, rich_markup_mode=None)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")]
_LONGEST_SECRET = 1_000


@app.command()
@about_redis
def create(
    target: RedisTarget,
    name: Annotated[str, typer.Argument(help="Whose key it is, for people: shown with every change, and in the audit.")],
    preset: Annotated[str | None, typer.Option(help=f"Its rights: {', '.join(PRESETS)}.", show_default=False)] = None,
    scope: Annotated[list[str] | None, typer.Option(help=f"One right; may be given again: {', '.join(Scope)}.", show_default=False)] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="Only this task, or those that begin so ('billing.*'); may be given again.", show_default=False)
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Only jobs of this tenant.", show_default=False)] = None,
    rate: Annotated[str | None, typer.Option(help='Most requests and jobs, like "100/s".', show_default=False)] = None,
    max_backlog: Annotated[
        int | None, typer.Option("--max-backlog", help="Unended jobs above which its submissions are refused.", show_default=False)
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only from this network, like 10.0.0.0/8; may be given again.", show_default=False)
    ] = None,
    expires: Annotated[str | None, typer.Option(help="How long it holds, like 90d; else until it is revoked.", show_default=False)] = None,
    args: Annotated[bool, typer.Option("--args", help="Show arguments and results to an observer too.")] = False,
) -> None:
    """Make a key and print its secret, which is shown only now."""
    made = target.ask_redis(
        lambda client: client.keys.create(
            name,
            preset=preset,
            scopes=scope or (),
            tasks=task or (),
            tenant=tenant,
            rate=rate,
            max_backlog=max_backlog,
            sources=source or (),
            shows_args=True if args else None,
            expires=expires,
        )
    )
    _show_secret(made, as_json=target.json)


@app.command("list")
@about_redis
def list_keys(target: RedisTarget) -> None:
    """List every key: rights, restrictions, and when it was last used. Never a secret."""
    keys = target.ask_redis(lambda client: client.keys.list())
    if target.json:
        for key in keys:
            say_json(key.document())
        return
    if not keys:
        say("no keys: the service is open to this machine, and refuses to listen on any other address")
        return
    for line in columns([("ID", "NAME", "RIGHTS", "ONLY", "CREATED", "EXPIRES", "LAST USED"), *map(_row, keys)]):
        say(line)


@app.command()
@about_redis
def rotate(
    target: RedisTarget, key_id: KeyId, grace: Annotated[str, typer.Option(help="How long the former secret still holds, like 24h.")] = "0"
) -> None:
    """Give a key another secret and print it, which is shown only now."""
    _show_secret(target.ask_redis(lambda client: client.keys.rotate(key_id, grace=grace)), as_json=target.json)


@app.command()
@about_redis
def revoke(
    target: RedisTarget, key_id: KeyId, reason: Annotated[str, typer.Option(help="Why; shown in the list and in the audit.")] = ""
) -> None:
    """Refuse a key from now on, for good: at every service at once, within 5 seconds at the latest."""
    key = target.ask_redis(lambda client: client.keys.revoke(key_id, reason))
    if target.json:
        say_json(key.document())
    else:
        say(f"key {key.id} ({key.name}) is revoked")


@app.command()
@about_redis
def check(target: RedisTarget, given: Annotated[str | None, typer.Argument(hidden=True)] = None) -> None:
    """Read a secret from standard input and print whose it is, or why it is refused (exit code 1)."""
    if given is not None:
        # Not shown again: it would stand in one more place.
        raise ConfigurationError("every user of this machine can read the words of a command (ps): send the secret to standard input")
    secret = sys.stdin.readline(_LONGEST_SECRET)
    key = target.ask_redis(lambda client: client.keys.check(secret))
    if target.json:
        say_json(key.document())
        return
    _, name, rights, only, _, expires, _ = _row(key)
    say(f"key {key.id} ({name}): {rights}{f', only {only}' if only else ''}; expires {expires}")


def _show_secret(made: NewKey, *, as_json: bool) -> None:
    if as_json:
        say_json({**made.key.document(), "secret": made.secret})
        return
    complain(f"key {made.key.id} ({made.key.name}); its secret is shown only now:")
    say(made.secret)


def _row(key: ApiKey) -> tuple[str, ...]:
    shown = key.document()
    restrictions = {
        "tasks": " ".join(key.tasks),
        "tenant": key.tenant,
        "rate": key.rate,
        "backlog": key.max_backlog,
        "from": " ".join(key.sources),
    }
    only = ", ".join(f"{what} {value}" for what, value in restrictions.items() if value not in (None, ""))
    ends = f"revoked {shown['revoked_at']}" if shown["revoked_at"] else shown["expires_at"] or "never"
    return key.id, key.name, key.preset or " ".join(key.scopes), only, shown["created_at"], ends, shown["last_used"] or "never"
