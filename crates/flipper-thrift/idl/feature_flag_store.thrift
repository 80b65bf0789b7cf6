/*
 * The flags of Flipper as a service.
 *
 * The first part is the service of the Python library flipper-client 1.3.2, field for field: its clients and servers, and
 * those generated from its IDL in any language, work with ours. SetClientData is the call of the 2018 IDL. The second part
 * is ours: with it a client loses no write and hears of changes. A server may leave it out; see docs/thrift.md.
 */

namespace java com.carta.flipper
namespace py flipper_thrift.python.feature_flag_store
namespace rs feature_flag_store

/** JSON text. */
typedef string JSON

enum ErrorCode {
    NOT_FOUND = 0,

    // Python's clients know no code but the first, and raise the exception with its message for the others.
    /** The flag is not in the state that CompareAndSet asks for. */
    CONFLICT = 1,
    INVALID_NAME = 2,
    INVALID_INPUT = 3,
    /** What is stored for the flag cannot be read. */
    CORRUPT = 4,
    /** The store behind the server cannot be reached or did not answer in time; the same call may succeed later. */
    UNAVAILABLE = 5,
    UNAUTHORIZED = 6,
    UNSUPPORTED = 7,
    INTERNAL = 8
}

exception FlipperException {
    1: optional ErrorCode code;
    2: optional string message = "";
}

struct ConditionOperator {
    /** Absent for equality. */
    1: optional string symbol;
}

struct ConditionCheck {
    1: optional string variable;
    2: optional JSON value;
    3: optional ConditionOperator operator;
}

typedef map<string, list<ConditionCheck>> Condition

struct FeatureFlagStoreMeta {
    /** Unix time in seconds. */
    1: optional i64 created_date;
    2: optional JSON client_data;
    3: optional list<Condition> conditions;
    4: optional JSON bucketer;
}

struct FeatureFlagStoreItem {
    1: optional string feature_name;
    2: optional bool is_enabled;
    3: optional FeatureFlagStoreMeta meta;
}

/** One state of a flag. One of the two is set; neither stands for a version that is not known. */
struct FlagVersion {
    /** The greater is the newer; to be taken as unsigned. */
    1: optional i64 ordered;
    /** Equal bytes mean equal content. */
    2: optional binary opaque;
}

/** A flag as its store has it. With neither record nor corrupt there is no such flag. */
struct FlagState {
    1: optional string feature_name;
    /** Of the flag, or of its absence where the store counts. */
    2: optional FlagVersion version;
    /** The flag as all of Flipper's stores keep it, fields of later versions included. */
    3: optional JSON record;
    /** Why what is stored cannot be read. */
    4: optional string corrupt;
    /** Something happened to the flag and this does not say what: read it again. */
    5: optional bool unknown;
}

struct FlagPage {
    1: optional list<FlagState> flags;
    /** Whether there are more after these. */
    2: optional bool more;
}

/** What must be so for a write to happen; nothing set: it always may. */
struct WritePrecondition {
    /** There is no such flag. */
    1: optional bool absent;
    /** The flag exists and has this version. */
    2: optional FlagVersion unchanged;
}

struct WatchResult {
    /** For the next call. */
    1: optional string cursor;
    /** The changes since the last call are not known: read all flags, after this call. */
    2: optional bool reset;
    3: optional list<FlagState> changes;
    /** The server cannot follow its store, and why. The watch goes on; a reset comes when it can again. */
    4: optional string lost;
}

service FeatureFlagStore {
    /** A flag of this name that exists is replaced. */
    FeatureFlagStoreItem Create(1: string feature_name, 2: bool is_enabled, 3: JSON client_data) throws (1: FlipperException error),

    FeatureFlagStoreItem Get(1: string feature_name) throws (1: FlipperException error),

    /** A flag that does not exist is created. */
    void Set(1: string feature_name, 2: bool is_enabled) throws (1: FlipperException error),

    /** A flag that does not exist is no error. */
    void Delete(1: string feature_name) throws (1: FlipperException error),

    /** Ordered by name; without limit: all. */
    list<FeatureFlagStoreItem> List(1: i64 limit, 2: i64 offset) throws (1: FlipperException error),

    void SetMeta(1: string feature_name, 2: FeatureFlagStoreMeta meta) throws (1: FlipperException error),

    /** Merges the top-level keys into the client data that is there. For clients of the IDL of 2018. */
    void SetClientData(1: string feature_name, 2: JSON client_data) throws (1: FlipperException error),

    // From here on ours.

    FlagState ReadFlag(1: string feature_name) throws (1: FlipperException error),

    /** Flags ordered by the bytes of their names, from the first after this name on; the server may send fewer than the limit. */
    FlagPage ReadFlags(1: string after, 2: i64 limit) throws (1: FlipperException error),

    /** Writes the whole flag, or deletes it where no record is given, if the precondition holds. */
    FlagVersion CompareAndSet(1: string feature_name, 2: WritePrecondition precondition, 3: JSON record) throws (1: FlipperException error),

    /** Waits for changes after the cursor, but not longer than this; the server may wait less. Without cursor: a reset, at once. */
    WatchResult Watch(1: string cursor, 2: i64 timeout_ms) throws (1: FlipperException error)
}
