"""Flags in S3, or a server with its interface."""

from __future__ import annotations

import contextlib
import inspect
import logging
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from flipper.exceptions import (
    FlipperError,
    InvalidInputError,
    StoreUnavailableError,
    UnauthorizedError,
    UnreadableFlagError,
)

from ._clients.errors import both
from .comparing import ComparingFeatureFlagStore, can_be_stored, new_item
from .storage import FeatureFlagStoreItem

log = logging.getLogger(__name__)

PAGE_SIZE = 1000

# The object that is written only where conditions are ignored. It is a flag: other programs may list it meanwhile.
_PROBE = "flipper-conditional-writes"
_NO_ETAG = f'"{"0" * 32}"'

_KINDS: dict[str, type[FlipperError]] = {
    "ExpiredToken": UnauthorizedError,
    "InvalidToken": UnauthorizedError,
    "InvalidObjectState": UnreadableFlagError,  # in an archive
    "KeyTooLongError": InvalidInputError,
    "RequestTimeout": StoreUnavailableError,
    "SlowDown": StoreUnavailableError,
    "NoCredentialsError": UnauthorizedError,
    "PartialCredentialsError": UnauthorizedError,
    "ParamValidationError": InvalidInputError,
}


class S3FeatureFlagStore(ComparingFeatureFlagStore):
    """Keeps flags in a bucket, an object for each, with the flag's name as its key. All objects of the bucket are flags.

    `client`: one of boto3, which is called for each check and write; a `CachedFeatureFlagStore` around this store answers checks
    from memory. No change is lost where client and server have conditional writes: boto3 1.35.69 or newer, S3 itself, MinIO,
    SeaweedFS. The store finds out with its first change, and logs a warning where they are missing.
    """

    def __init__(self, client: Any, bucket_name: str, page_size: int | None = PAGE_SIZE) -> None:
        call = getattr(client, "get_object", None)
        if not callable(call) or inspect.iscoroutinefunction(call):
            raise TypeError('the client is one for S3 by boto3.client("s3"), not for asyncio, and no resource')
        self._client = client
        self._bucket_name = bucket_name
        self._page_size = page_size
        self._compares: bool | None = None

    def create(
        self, feature_name: str, is_enabled: bool = False, client_data: dict[str, Any] | None = None
    ) -> FeatureFlagStoreItem:
        """Creates a flag, or overwrites it."""
        item = new_item(feature_name, is_enabled, client_data)
        self._call("put_object", Key=feature_name, Body=item.serialize())
        return item

    def delete(self, feature_name: str) -> None:
        """Deletes the flag, if there is one."""
        if feature_name and can_be_stored(feature_name):
            self._call("delete_object", Key=feature_name)

    def list(self, limit: int | None = None, offset: int = 0) -> Iterator[FeatureFlagStoreItem]:
        """All flags that can be read, in the order of the bucket, which is by name."""
        begin = max(0, offset)
        for key in islice(self._keys(), begin, None if limit is None else begin + max(0, limit)):
            try:
                item = self.get(key)
            except UnreadableFlagError:
                log.warning("the object %r is no flag", key)
                continue
            # Deleted by now.
            if item is not None:
                yield item

    def _keys(self) -> Iterator[str]:
        options = {} if self._page_size is None else {"PaginationConfig": {"PageSize": self._page_size}}
        pages = iter(self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket_name, **options))
        while True:
            try:
                page = next(pages)
            except StopIteration:
                return
            except Exception as error:
                raise _error(error) from None
            for content in page.get("Contents", ()):
                yield content["Key"]

    def _read(self, feature_name: str) -> tuple[bytes, Any] | None:
        if not feature_name or not can_be_stored(feature_name):
            return None
        try:
            response = self._client.get_object(Bucket=self._bucket_name, Key=feature_name)
            return response["Body"].read(), response.get("ETag")
        except Exception as error:
            missing = getattr(self._client.exceptions, "NoSuchKey", None)
            if isinstance(missing, type) and isinstance(error, missing):
                return None
            raise _error(error) from None

    def _add(self, feature_name: str, serialized: bytes) -> bool:
        return self._put(feature_name, serialized, IfNoneMatch="*")

    def _replace(self, feature_name: str, serialized: bytes, read: Any) -> bool:
        return self._put(feature_name, serialized, IfMatch=read)

    def _put(self, feature_name: str, serialized: bytes, **condition: str) -> bool:
        if self._compares is None:
            self._compares = self._probe()
        try:
            self._call("put_object", Key=feature_name, Body=serialized, **(condition if self._compares else {}))
        except FlipperError as error:
            if self._compares and _is_another(error):
                return False
            raise
        return True

    def _probe(self) -> bool:
        """Whether a condition that does not hold keeps an object from being written."""
        try:
            members = self._client.meta.service_model.operation_model("PutObject").input_shape.members
            reason = "" if "IfMatch" in members else "boto3 is older than 1.35.69"
        except AttributeError:
            reason = "the client has no description of its calls"
        if not reason:
            try:
                self._call("put_object", Key=_PROBE, Body=new_item(_PROBE, False, None).serialize(), IfMatch=_NO_ETAG)
            except FlipperError as error:
                # Who may not write this object learns it from the write itself.
                if _is_another(error) or isinstance(error, UnauthorizedError):
                    return True
                if _status(error) != 501:
                    raise
            else:
                # A user without the right to delete leaves it there.
                with contextlib.suppress(FlipperError):
                    self._call("delete_object", Key=_PROBE)
            reason = "the server ignores their conditions"
        log.warning("no conditional writes to %r, so writers at once may undo each other's changes: %s", self._bucket_name, reason)
        return False

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client, operation)(Bucket=self._bucket_name, **arguments)
        except Exception as error:
            raise _error(error) from None

    def __repr__(self) -> str:
        return f"S3FeatureFlagStore({self._bucket_name!r})"


def _error(error: Exception) -> Exception:
    """An error of boto3 as one of this package; one of anything else, of a fake, as it is."""
    boto = sys.modules.get("botocore.exceptions")
    if boto is None or not isinstance(error, (boto.ClientError, boto.BotoCoreError)):
        return error
    code, status = _code(error), _status(error)
    kind = _KINDS.get(code)
    if kind is None and isinstance(error, boto.BotoCoreError):
        kind = StoreUnavailableError
    elif kind is None:
        kind = UnauthorizedError if status in (401, 403) else StoreUnavailableError if status >= 500 else FlipperError
    return both(kind, type(error), str(error), vars(error))


def _is_another(error: Exception) -> bool:
    """Whether a condition did not hold, or another write was under way. Servers differ in what they say of a missing object."""
    return _status(error) in (404, 409, 412) and _code(error) != "NoSuchBucket"


def _code(error: Exception) -> str:
    return str(_response(error).get("Error", {}).get("Code", type(error).__name__))


def _status(error: Exception) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _response(error: Exception) -> dict[str, Any]:
    return getattr(error, "response", None) or {}
