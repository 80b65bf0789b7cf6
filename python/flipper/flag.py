"""One flag, by a handle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import _flipper
from .bucketing.base import AbstractBucketer
from .conditions import Condition
from .evaluation import Evaluation
from .history import Entry
from .targeting import Value

if TYPE_CHECKING:
    from .client import FeatureFlagClient


class FeatureFlag(_flipper.Flag):
    """A flag, bound to its name: the client's methods without it. The flag need not exist."""

    def __init__(self, feature_name: str, client: FeatureFlagClient) -> None:
        self._name = feature_name
        self._client = client
        if isinstance(client, _flipper.Client):
            try:
                self._check(client, feature_name)
            except UnicodeEncodeError:
                # No flag has this name, which the client finds with each call.
                pass

    @property
    def name(self) -> str:
        """The flag's name."""
        return self._name

    if TYPE_CHECKING:

        def is_enabled(self, default: Any = False, **conditions: Any) -> bool:
            """Whether the flag is on for these conditions; `default` if there is no such flag."""
            ...

    # It is added with the client's, and calls this where the client's own check is not the one to ask.
    def _is_enabled(self, default: Any, conditions: dict[str, Any]) -> Any:
        return self._client.is_enabled(self._name, default=default, **conditions)

    def exists(self) -> bool:
        """Whether there is such a flag."""
        return self._client.exists(self._name)

    def enable(self) -> None:
        """Enables the flag."""
        self._client.enable(self._name)

    def disable(self) -> None:
        """Disables the flag."""
        self._client.disable(self._name)

    def destroy(self) -> None:
        """Destroys the flag."""
        self._client.destroy(self._name)

    def add_condition(self, condition: Condition) -> None:
        """Adds a condition; all conditions of a flag must hold."""
        self._client.add_condition(self._name, condition)

    def set_conditions(self, conditions: Iterable[Condition]) -> None:
        """Replaces all conditions."""
        self._client.set_conditions(self._name, conditions)

    def set_bucketer(self, bucketer: AbstractBucketer) -> None:
        """Sets for which part of the checks or callers the flag is on."""
        self._client.set_bucketer(self._name, bucketer)

    def set_client_data(self, client_data: dict[str, Any]) -> None:
        """Merges keys into the client data."""
        self._client.set_client_data(self._name, client_data)

    def get_client_data(self) -> dict[str, Any]:
        """The client data."""
        data: dict[str, Any] = self.get_meta()["client_data"]
        return data

    def get_meta(self) -> dict[str, Any]:
        """All meta data: client data, creation date, conditions and bucketer."""
        return self._client.get_meta(self._name)

    def variant(self, default: Value, **context: Any) -> Value:
        """The value of the flag's variant for this context, if it has the type of the default; else the default."""
        return self._client.variant(self._name, default, **context)

    def evaluate(self, **context: Any) -> Evaluation:
        """The answer of a check, with the reason for it and the variant."""
        return self._client.evaluate(self._name, **context)

    def get_rules(self) -> list[dict[str, Any]]:
        """The rules, in order."""
        return self._client.get_rules(self._name)

    def set_rules(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the rules: `[{"when": "plan = pro", "serve": "on"}]`."""
        self._client.set_rules(self._name, rules)

    def get_variants(self) -> dict[str, Any] | None:
        """The variants, as they are stored."""
        return self._client.get_variants(self._name)

    def set_variants(self, variants: Mapping[str, Any] | None) -> None:
        """Replaces the variants."""
        self._client.set_variants(self._name, variants)

    def get_prerequisites(self) -> list[dict[str, Any]]:
        """The flags that must be on for this one to be."""
        return self._client.get_prerequisites(self._name)

    def set_prerequisites(self, prerequisites: Iterable[str | Mapping[str, Any]]) -> None:
        """Replaces the flags that must be on."""
        self._client.set_prerequisites(self._name, prerequisites)

    def get_schedule(self) -> dict[str, Any] | None:
        """When the flag is on, as it is stored."""
        return self._client.get_schedule(self._name)

    def set_schedule(
        self,
        schedule: Mapping[str, Any] | None = None,
        *,
        enable_at: datetime | int | None = None,
        disable_at: datetime | int | None = None,
        steps: Sequence[tuple[datetime | int, float]] = (),
        by: str | None = None,
    ) -> None:
        """Sets when the flag is on. A start or steps enable it. Without any time the schedule is taken away."""
        self._client.set_schedule(self._name, schedule, enable_at=enable_at, disable_at=disable_at, steps=steps, by=by)

    def history(self) -> Iterator[Entry]:
        """The changes of this flag, the newest first."""
        return self._client.history(self._name)

    def restore(self, entry: Entry) -> None:
        """Makes the flag what it was before this entry, if nothing has changed it since."""
        self._client.restore(self._name, entry)

    def __repr__(self) -> str:
        return f"FeatureFlag({self._name!r})"
