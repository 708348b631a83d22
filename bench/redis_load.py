"""What Redis did between two instants, by its own account: commands, those inside scripts included, and processor time."""

from dataclasses import dataclass
from typing import Self

from redis.asyncio import Redis

OWN_COMMANDS = frozenset({"hexists", "info", "xlen"})
"""What the bench itself sends while it measures; the engine sends none of these while it works."""


@dataclass(frozen=True, slots=True)
class CommandUse:
    """Calls of one command and the µs they took; a script's time includes its commands'."""

    calls: float
    us: float


@dataclass(frozen=True, slots=True)
class RedisLoad:
    """Processor seconds and command counts, since the server started or between two snapshots."""

    cpu_s: float
    commands: dict[str, CommandUse]

    @classmethod
    async def now(cls, redis: Redis) -> Self:
        stats, cpu = await redis.info("commandstats"), await redis.info("cpu")
        commands = {name.removeprefix("cmdstat_"): CommandUse(row["calls"], row["usec"]) for name, row in stats.items()}
        return cls(cpu["used_cpu_user"] + cpu["used_cpu_sys"], commands)

    def since(self, earlier: "RedisLoad") -> "RedisLoad":
        nothing = CommandUse(0, 0)
        commands = {}
        for name, use in self.commands.items():
            before = earlier.commands.get(name, nothing)
            if use.calls > before.calls and name not in OWN_COMMANDS:
                commands[name] = CommandUse(use.calls - before.calls, use.us - before.us)
        return RedisLoad(self.cpu_s - earlier.cpu_s, commands)

    def per(self, count: int) -> dict[str, CommandUse]:
        """Commands a job, or a start; the most frequent first."""
        ordered = sorted(self.commands.items(), key=lambda item: -item[1].calls)
        return {name: CommandUse(use.calls / count, use.us / count) for name, use in ordered}

    @property
    def calls(self) -> float:
        return sum(use.calls for use in self.commands.values())
