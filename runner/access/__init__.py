"""Who may do what: keys, their scopes and restrictions, and whose act a change was. Values only; knows no HTTP and no Redis."""

from runner.access.actor import Actor, acting, actor_here, leading, named_actor
from runner.access.api_key import ApiKey
from runner.access.audit_line import AuditLine
from runner.access.principal import ANYONE, Principal, check_tenant
from runner.access.scopes import PRESETS, Scope, scopes_of
from runner.access.secret import Secret, digest_of, new_key_id, new_secret, parse_secret

__all__ = [
    "ANYONE",
    "PRESETS",
    "Actor",
    "ApiKey",
    "AuditLine",
    "Principal",
    "Scope",
    "Secret",
    "acting",
    "actor_here",
    "check_tenant",
    "digest_of",
    "leading",
    "named_actor",
    "new_key_id",
    "new_secret",
    "parse_secret",
    "scopes_of",
]
