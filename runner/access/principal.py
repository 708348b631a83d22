"""Principal: who a request is from, and what they may do. Made from a key, or by the app that knows its own users."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Self

from runner.access.scopes import Scope, scopes_of
from runner.errors import ConfigurationError
from runner.names import SHORT_NAME, fits

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `name` is shown with what they change, and written into the audit.

    scopes: their rights. key_id: of the key they sent, empty for users of an app. tenant: whose jobs alone they see and submit; None:
    all that belong to no tenant. tasks: names, or beginnings of names with a `*`, that they may submit and see; none given: every task.
    rate: requests, like "100/s". max_backlog: unended jobs of the queue above which their submissions are refused. sources: the networks
    they may call from. shows_args: whether arguments and results are shown to them.
    """

    name: str
    scopes: frozenset[Scope]
    key_id: str = ""
    tenant: str | None = None
    tasks: Sequence[str] = ()
    rate: str | None = None
    max_backlog: int | None = None
    sources: Sequence[Network] = ()
    shows_args: bool = True

    @classmethod
    def of_preset(cls, name: str, preset: str, *, tenant: str | None = None) -> Self:
        """A caller with the rights of a preset, as a key of it has them. Raises `ConfigurationError`."""
        return cls(name, scopes_of(preset, tenant=tenant), tenant=tenant, shows_args=preset != "observer")

    @property
    def label(self) -> str:
        """Who they are, for the audit and for people who read a reason."""
        return f"key {self.key_id} {self.name}" if self.key_id else self.name

    @property
    def sees_tenants(self) -> bool:
        """Whether they see the jobs of tenants too, by ids with the tenant, like t7/o-17: who sees all else, and reads in the audit what concerns all."""
        return self.tenant is None and not self.tasks and Scope.audit_read in self.scopes

    def allows_task(self, task: str) -> bool:
        """Whether they may submit this task and see its jobs."""
        return not self.tasks or any(task == name or (name[-1:] == "*" and task.startswith(name[:-1])) for name in self.tasks)

    def allows_address(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Whether they may call from here; None is a unix socket, which no network is."""
        return not self.sources or (address is not None and any(address in network for network in self.sources))


ANYONE = Principal("", frozenset(Scope))
"""The caller of a service without keys, which only this machine can reach."""


def check_tenant(tenant: str) -> str:
    """The tenant's name. Raises `ConfigurationError` for one that cannot begin the ids of jobs."""
    if not fits(SHORT_NAME, tenant):
        raise ConfigurationError(f"tenant {tenant!r:.80} cannot be used: give 1 to 64 letters, digits, '_', '.' or '-'")
    return tenant
