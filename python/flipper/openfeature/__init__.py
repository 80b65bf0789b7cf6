"""Flipper's flags as a provider of the OpenFeature SDK. Keys, values, reasons and errors are those of the Rust provider.

A bool is the answer of the flag `FLAG`. Other types are the value of its variant, or else client data, while the flag is on: `FLAG/KEY`, and
`FLAG` for the key `value`, or, as an object, for all of them. While it is off, the default.
"""

from .provider import FlipperProvider

__all__ = ["FlipperProvider"]
