"""Tags: the words by which jobs are found."""

import re
from collections.abc import Sequence

from runner.errors import InvalidOption
from runner.foreign import shown
from runner.names import fits

MOST_TAGS = 8
_TAG = re.compile(r"[!-~]{1,64}")


def is_tag(text: object) -> bool:
    """Whether a job can have it as a tag."""
    return fits(_TAG, text)


def checked_tags(given: Sequence[str] | None) -> tuple[str, ...]:
    """Each of them once. Raises `InvalidOption` for what is no list of tags."""
    if given is None:
        return ()
    if isinstance(given, str) or not isinstance(given, list | tuple | set | frozenset):
        raise InvalidOption(f"tags are {shown(given, 80)}: give a list of words, like ['invoice', 'customer:17']")
    for tag in given:
        if not is_tag(tag):
            raise InvalidOption(f"tag {shown(tag, 80)} cannot be one: give 1 to 64 ASCII characters without a space")
    tags = tuple(dict.fromkeys(given))
    if len(tags) > MOST_TAGS:
        raise InvalidOption(f"{len(tags)} tags are too many: a job may have {MOST_TAGS}")
    return tags
