"""What this package raises, under one base class. What subscribers and stores of your own raise passes through as it is."""


class FlipperError(Exception):
    """The base class of all exceptions of this package."""


class FlagDoesNotExistError(FlipperError):
    """The flag does not exist."""


class InvalidInputError(FlipperError, ValueError):
    """A name, client data, a percentage or a URL that cannot be used."""


class UnreadableFlagError(FlipperError, ValueError):
    """What the store holds for the flag is no flag."""


class ConflictError(FlipperError):
    """Other writers changed the flag again and again, until the time for the write was over."""


class StoreUnavailableError(FlipperError):
    """The store cannot be reached, or cannot take the write now."""


class UnauthorizedError(FlipperError):
    """The store refuses the credentials, or they do not allow the operation."""


class UnsupportedError(FlipperError):
    """The store cannot do this: it keeps no history."""


class InvalidBucketerTypeError(FlipperError):
    """A type of bucketers that is not registered."""


class InvalidPercentageTypeError(FlipperError):
    """A type of percentages that is not registered."""


class InvalidSymbolError(FlipperError):
    """An operator that does not exist."""
