"""The code generated from our IDL, as a client in another language would use it; run with it first in the path."""

import json
import sys

from flipper_thrift.python.feature_flag_store import FeatureFlagStore, ttypes
from thrift.protocol import TCompactProtocol
from thrift.transport import TSocket, TTransport

transport = TTransport.TFramedTransport(TSocket.TSocket("127.0.0.1", int(sys.argv[1])))
client = FeatureFlagStore.Client(TCompactProtocol.TCompactProtocol(transport))
transport.open()

first = client.Watch(None, 0)
assert first.reset and first.cursor, first

client.Create("F", False, '{"a": 1}')
client.SetClientData("F", '{"b": 2}')
assert json.loads(client.Get("F").meta.client_data) == {"a": 1, "b": 2}
try:
    client.SetClientData("G", "{}")
    raise AssertionError("no such flag")
except ttypes.FlipperException as error:
    assert error.code == ttypes.ErrorCode.NOT_FOUND, error

state = client.ReadFlag("F")
record = json.loads(state.record)
record["is_enabled"] = True
record["from_the_future"] = [1]
unchanged = ttypes.WritePrecondition(unchanged=state.version)
version = client.CompareAndSet("F", unchanged, json.dumps(record))
try:
    client.CompareAndSet("F", unchanged, json.dumps(record))
    raise AssertionError("written twice")
except ttypes.FlipperException as error:
    assert error.code == ttypes.ErrorCode.CONFLICT, error
try:
    client.CompareAndSet("F", ttypes.WritePrecondition(unchanged=ttypes.FlagVersion()), json.dumps(record))
    raise AssertionError("written without a version")
except ttypes.FlipperException as error:
    assert error.code == ttypes.ErrorCode.INVALID_INPUT, error
try:
    client.CompareAndSet("G", None, json.dumps(record))
    raise AssertionError("written under another name")
except ttypes.FlipperException as error:
    assert error.code == ttypes.ErrorCode.INVALID_INPUT, error

# Python's own calls keep fields that they lack.
client.Set("F", False)
client.SetMeta("F", ttypes.FeatureFlagStoreMeta(client_data="{}"))
assert json.loads(client.ReadFlag("F").record)["from_the_future"] == [1]

page = client.ReadFlags(None, 1)
assert [flag.feature_name for flag in page.flags] == ["F"] and not page.more, page

now = client.ReadFlag("F").record
changes = client.Watch(first.cursor, 5000)
while changes.changes[0].record != now:
    # The last change may come after a call was answered.
    changes = client.Watch(changes.cursor, 5000)
    assert changes.changes, "the last change was not reported"
assert not changes.reset and [flag.feature_name for flag in changes.changes] == ["F"], changes
nothing = client.Watch(changes.cursor, 10)
assert nothing.cursor == changes.cursor and not nothing.changes, nothing
assert client.Watch("rubbish", 5000).reset
client.Delete("F")
gone = client.Watch(changes.cursor, 5000).changes
assert len(gone) == 1 and gone[0].record is None and gone[0].version is not None, gone
print("@ok")
