"""Bucketers by the type that they are stored by."""

from __future__ import annotations

from collections import UserDict
from typing import TYPE_CHECKING, Any

from flipper import _flipper, exceptions

from .base import AbstractBucketer
from .consistent_hash_percentage_bucketer import ConsistentHashPercentageBucketer
from .noop_bucketer import NoOpBucketer
from .percentage_bucketer import PercentageBucketer
from .salted_percentage_bucketer import SaltedPercentageBucketer

if TYPE_CHECKING:
    _Types = UserDict[str, Any]
else:
    _Types = UserDict

_OWN = (ConsistentHashPercentageBucketer, NoOpBucketer, PercentageBucketer, SaltedPercentageBucketer)


class _BucketerTypes(_Types):
    """The types by name. A new one can be read from then on; without it a stored flag that has it is unreadable."""

    _known = {bucketer.get_type() for bucketer in _OWN}

    def __setitem__(self, type_name: str, bucketer: Any) -> None:
        if type_name not in self._known:
            _flipper.register_bucketer(type_name)
            self._known.add(type_name)
        super().__setitem__(type_name, bucketer)


class BucketerFactory:
    """Makes bucketers of their stored form. Add classes of your own to `BUCKETER_MAP`, before the first client is made."""

    BUCKETER_MAP = _BucketerTypes({bucketer.get_type(): bucketer for bucketer in _OWN})

    InvalidBucketerTypeError = exceptions.InvalidBucketerTypeError

    @classmethod
    def create(cls, fields: dict[str, Any]) -> AbstractBucketer:
        """The bucketer of this stored form."""
        type_name: Any = None
        try:
            type_name = fields["type"]
            bucketer: AbstractBucketer = cls.BUCKETER_MAP[type_name].from_dict(fields)
        except KeyError:
            raise cls.InvalidBucketerTypeError(f"Bucketer type not supported: {type_name}") from None
        return bucketer
