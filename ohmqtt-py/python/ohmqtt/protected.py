"""Objects with a lock that their methods insist on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeAlias, TypeVar, Union, cast

if TYPE_CHECKING:
    from typing_extensions import Self

LockLike: TypeAlias = Union[threading.Lock, "threading.RLock"]
"""A lock that an object may be protected with."""

ProtectedT = TypeVar("ProtectedT", bound="Protected")
ProtectP = ParamSpec("ProtectP")
ProtectR = TypeVar("ProtectR")


def protect(
    func: Callable[Concatenate[ProtectedT, ProtectP], ProtectR],
) -> Callable[Concatenate[ProtectedT, ProtectP], ProtectR]:
    """Let a method of a `Protected` run only while its thread holds the lock; a `RuntimeError` otherwise."""

    @wraps(func)
    def wrapper(self: ProtectedT, *args: ProtectP.args, **kwargs: ProtectP.kwargs) -> ProtectR:
        if not self._is_owned():
            message = f"{type(self).__name__}.{func.__name__} wants the lock: call it within 'with' of the object"
            raise RuntimeError(message)
        return func(self, *args, **kwargs)

    return cast("Callable[Concatenate[ProtectedT, ProtectP], ProtectR]", wrapper)


class Protected:
    """Something that one thread at a time may use: the one that is within `with` of it, or has called `acquire`."""

    __slots__ = ("_is_owned", "_lock", "acquire", "release")

    def __init__(self, lock: LockLike | None = None) -> None:
        """Protect by this lock, or by an `RLock` of its own."""
        own: Any = threading.RLock() if lock is None else lock
        self._lock = own
        self.acquire: Callable[..., bool] = self._lock.acquire
        self.release: Callable[[], None] = self._lock.release
        # A plain lock knows no owner: held at all is the best it can say.
        is_owned: Callable[[], bool] = getattr(own, "_is_owned", None) or own.locked
        self._is_owned = is_owned

    def __enter__(self) -> Self:
        """Wait for the lock."""
        self.acquire()
        return self

    def __exit__(self, *args: object) -> None:
        """Let the lock go."""
        self.release()
