"""What is stored with a flag."""

from __future__ import annotations

from typing import Any

from flipper.bucketing import BucketerFactory, NoOpBucketer
from flipper.bucketing.base import AbstractBucketer
from flipper.conditions import Condition

from .limits import merged

_KNOWN = ("client_data", "created_date", "conditions", "bucketer")


class FeatureFlagStoreMeta:
    """A flag's client data, creation time (Unix seconds), conditions and bucketer. Fields that others have added are kept."""

    def __init__(
        self,
        created_date: int,
        client_data: dict[str, Any] | None = None,
        conditions: list[Condition] | None = None,
        bucketer: AbstractBucketer | None = None,
    ) -> None:
        self.created_date = created_date
        self.client_data = client_data or {}
        self.conditions = conditions or []
        self.bucketer = NoOpBucketer() if bucketer is None else bucketer
        self._others: dict[str, Any] = {}

    def to_dict(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "client_data": self.client_data,
            "created_date": self.created_date,
            "conditions": [condition.to_dict() for condition in self.conditions],
            "bucketer": self.bucketer.to_dict(),
            **(merged(self._others, {}) if self._others else {}),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> FeatureFlagStoreMeta:
        """Reads the stored form."""
        bucketer = fields.get("bucketer")
        meta = cls(
            fields["created_date"],
            client_data=fields.get("client_data"),
            conditions=[Condition.from_dict(condition) for condition in fields.get("conditions", ())],
            bucketer=None if bucketer is None else BucketerFactory.create(bucketer),
        )
        meta._others = {key: value for key, value in fields.items() if key not in _KNOWN}
        return meta

    def update(
        self,
        created_date: int | None = None,
        client_data: dict[str, Any] | None = None,
        conditions: list[Condition] | None = None,
        bucketer: AbstractBucketer | None = None,
    ) -> None:
        """Changes what is given; client data is merged."""
        if created_date is not None:
            self.created_date = created_date
        if client_data is not None:
            # Not the caller's dict, nor the store's.
            self.client_data = {**self.client_data}
            self.client_data.update(client_data)
        if conditions is not None:
            self.conditions = conditions
        if bucketer is not None:
            self.bucketer = bucketer
