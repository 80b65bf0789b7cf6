"""Flags for one caller, such as the user of a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from .aio import AsyncFeatureFlagClient
from .client import FeatureFlagClient
from .evaluation import Evaluation
from .targeting import Value

_MISSING = object()


class Scope:
    """Attributes given once, and one answer for each flag. A function that returns attributes is called at the first check."""

    def __init__(
        self,
        features: FeatureFlagClient | AsyncFeatureFlagClient,
        attributes: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._features = features
        self._attributes = attributes
        self._answers: dict[str, Any] = {}

    @property
    def attributes(self) -> Mapping[str, Any]:
        """What conditions see."""
        if callable(self._attributes):
            self._attributes = self._attributes()
        return self._attributes or {}

    def is_enabled(self, feature_name: str, default: Any = False, **attributes: Any) -> bool:
        """Whether the flag is on here; `default` if there is no such flag. With more attributes it is checked again."""
        if attributes:
            return self._features.is_enabled(feature_name, default, **{**self.attributes, **attributes})
        if feature_name not in self._answers:
            self._answers[feature_name] = self._features.is_enabled(feature_name, _MISSING, **self.attributes)
        answer = self._answers[feature_name]
        return cast(bool, default if answer is _MISSING else answer)

    def variant(self, feature_name: str, default: Value, **attributes: Any) -> Value:
        """The value of the flag's variant here, if it has the type of the default; else the default."""
        return self._features.variant(feature_name, default, **{**self.attributes, **attributes})

    def evaluate(self, feature_name: str, **attributes: Any) -> Evaluation:
        """The answer here, with the reason for it and the variant."""
        return self._features.evaluate(feature_name, **{**self.attributes, **attributes})

    def __getitem__(self, feature_name: str) -> bool:
        """For templates: `{% if features.NEW_CHECKOUT %}`."""
        return self.is_enabled(feature_name)
