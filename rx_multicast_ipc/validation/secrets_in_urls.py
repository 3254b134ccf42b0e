"""URLs as people may see them."""

from __future__ import annotations


def masked(url: str) -> str:
    """``url`` with ``***`` in the place of what stands before ``@``."""
    head, slashes, rest = url.partition("://")
    if not slashes:
        head, rest = "", url
    login, at, hosts = rest.rpartition("@")
    return f"{head}{slashes}***@{hosts}" if at and login else url
