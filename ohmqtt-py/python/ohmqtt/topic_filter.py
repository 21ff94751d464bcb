"""Topic names, topic filters and share names: what is one, and what matches what."""

from __future__ import annotations

from ohmqtt._native import toolkit_check_filter, toolkit_check_topic, toolkit_match, toolkit_split_share


def validate_topic(topic: str) -> None:
    """Refuse what is no topic name: a `ValueError` for one that is empty, too long, or has a wildcard or U+0000."""
    toolkit_check_topic(topic)


def validate_topic_filter(topic_filter: str) -> None:
    """Refuse what is no topic filter with a `ValueError`; `$share/NAME/FILTER` is one."""
    toolkit_check_filter(topic_filter)


def validate_share_name(share_name: str) -> None:
    """Refuse what is no share name: a `ValueError` for one that is empty or has `/`, `+`, `#` or U+0000."""
    if "/" in share_name:
        raise ValueError(f"share name {share_name!r}: contains '/', which ends it")
    toolkit_check_filter(f"$share/{share_name}/#")


def match_topic_filter(topic_filter: str, topic: str) -> bool:
    """Tell whether a message on this topic is for this filter; a `ValueError` when either is none.

    Topics that begin with `$` are not for a filter that begins with a wildcard; `a/#` is also for `a`. The share name
    of a shared filter has no part in it.
    """
    return toolkit_match(topic_filter, topic)


def join_share(topic_filter: str, share_name: str | None) -> str:
    """Give the filter as it is sent: `$share/NAME/FILTER` when there is a share name. Neither is checked."""
    return topic_filter if share_name is None else f"$share/{share_name}/{topic_filter}"


def split_share(topic_filter: str) -> tuple[str, str | None]:
    """Give the filter without its share name, and the share name, `None` where there is none.

    A `ValueError` for what is no topic filter.
    """
    return toolkit_split_share(topic_filter)
