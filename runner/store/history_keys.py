"""The names of the keys of what happened, and of how the queue stands. A part of `Keys`."""

from runner.store.prefixed import Prefixed


class HistoryKeys(Prefixed):
    """A part of `Keys`."""

    __slots__ = ()

    @property
    def history(self) -> str:
        return f"{self.prefix}history"

    @property
    def counts(self) -> str:
        return f"{self.prefix}counts"

    def minute(self, minute: int) -> str:
        """What was counted in a minute since 1970."""
        return f"{self.prefix}counts:{minute}"

    @property
    def series_names(self) -> str:
        return f"{self.prefix}series"

    def series(self, series: str) -> str:
        return f"{self.prefix}series:{series}"

    def spent(self, limit: str, day: int) -> str:
        """What was spent of a budget on a day since 1970."""
        return f"{self.prefix}spent:{limit}:{day}"

    @property
    def warnings(self) -> str:
        return f"{self.prefix}warnings"

    @property
    def overview(self) -> str:
        """The latest overview, for a moment."""
        return f"{self.prefix}overview"

    @property
    def overview_minute(self) -> str:
        """What it needs of the minute before this one."""
        return f"{self.prefix}overview:minute"

    @property
    def overview_hot(self) -> str:
        """Buckets that were found to have most jobs, by limit."""
        return f"{self.prefix}overview:hot"
