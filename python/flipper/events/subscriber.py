"""All listeners in one object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flipper.bucketing.base import AbstractBucketer
from flipper.conditions import Condition
from flipper.history import Entry


class FlipperEventSubscriber:
    """Override what you want to be called for. What a `pre` method raises keeps the write from happening."""

    def on_pre_create(self, flag_name: str, is_enabled: bool, client_data: dict[str, Any] | None) -> None:
        """Before `create`."""

    def on_post_create(self, flag_name: str, is_enabled: bool, client_data: dict[str, Any] | None) -> None:
        """After `create`."""

    def on_pre_enable(self, flag_name: str) -> None:
        """Before `enable`."""

    def on_post_enable(self, flag_name: str) -> None:
        """After `enable`."""

    def on_pre_disable(self, flag_name: str) -> None:
        """Before `disable`."""

    def on_post_disable(self, flag_name: str) -> None:
        """After `disable`."""

    def on_pre_destroy(self, flag_name: str) -> None:
        """Before `destroy`."""

    def on_post_destroy(self, flag_name: str) -> None:
        """After `destroy`."""

    def on_pre_add_condition(self, flag_name: str, condition: Condition) -> None:
        """Before `add_condition`."""

    def on_post_add_condition(self, flag_name: str, condition: Condition) -> None:
        """After `add_condition`."""

    def on_pre_set_conditions(self, flag_name: str, conditions: Iterable[Condition]) -> None:
        """Before `set_conditions`."""

    def on_post_set_conditions(self, flag_name: str, conditions: Iterable[Condition]) -> None:
        """After `set_conditions`."""

    def on_pre_set_client_data(self, flag_name: str, client_data: dict[str, Any]) -> None:
        """Before `set_client_data`."""

    def on_post_set_client_data(self, flag_name: str, client_data: dict[str, Any]) -> None:
        """After `set_client_data`."""

    def on_pre_set_bucketer(self, flag_name: str, bucketer: AbstractBucketer) -> None:
        """Before `set_bucketer`."""

    def on_post_set_bucketer(self, flag_name: str, bucketer: AbstractBucketer) -> None:
        """After `set_bucketer`."""

    def on_pre_restore(self, flag_name: str, entry: Entry) -> None:
        """Before `restore`."""

    def on_post_restore(self, flag_name: str, entry: Entry) -> None:
        """After `restore`."""

    def on_pre_set_targeting(self, flag_name: str, part: str, value: Any) -> None:
        """Before `set_rules` (the part `rules`), `set_variants` and so on, and `set_segment` and `delete_segment` (`segment`), for `segments/NAME`."""

    def on_post_set_targeting(self, flag_name: str, part: str, value: Any) -> None:
        """After them."""
