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

    // The codes below are sent by our own calls only. Clients of the Python library's IDL know no code but the first, and some
    // break off in the middle of an answer that has another: their calls get a TApplicationException with the message.
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
    INTERNAL = 8,
    /** A subscriber of the server's refused the write. */
    VETOED = 9
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
    /** `operator` in the Python library's IDL, which is a word of C++ and Swift. On the wire a field has no name. */
    3: optional ConditionOperator comparison;
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
    /** Something happened to the flag and this does not say what: read it again by ReadFlag. */
    5: optional bool unknown;
    /** In an answer of Watch: the state was read from the store at most so long before the answer was put together. */
    6: optional i64 read_us_ago;
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
    /** For the next call, to the same server. */
    1: optional string cursor;
    /** The changes since the last call are not known: read all flags by ReadKnownFlags, after this call, on the same connection. */
    2: optional bool reset;
    /** In order; each flag once, as it is now. */
    3: optional list<FlagState> changes;
    /**
     * Why the server's flags may not be those of its store any more. It is in each answer for as long as that lasts; a call that
     * waits is answered when it begins, when it ends, and when the reason changes.
     */
    4: optional string lost;
    /** The start of the server: another one for each. Absent from servers that tell `lost` once. */
    5: optional string server;
    /** How long after the call had come this answer was put together. */
    6: optional i64 waited_us;
    /** All changes that the store had up to so long before this answer was put together have been reported. */
    7: optional i64 confirmed_ms_ago;
    /** The store behind the server, without secrets. */
    8: optional string store;
}

/** What an operator wants to know of a server. */
struct ServerDescription {
    /** As in WatchResult, and the next three too. */
    1: optional string server;
    2: optional string store;
    3: optional string lost;
    4: optional i64 confirmed_ms_ago;
    /** Of the server's program. */
    5: optional string version;
    /** The server's clock, Unix time in milliseconds. */
    6: optional i64 clock_ms;
}

service FeatureFlagStore {
    /** A flag of this name that exists is replaced. */
    FeatureFlagStoreItem Create(1: string feature_name, 2: bool is_enabled, 3: JSON client_data) throws (1: FlipperException error),

    FeatureFlagStoreItem Get(1: string feature_name) throws (1: FlipperException error),

    /** A flag that does not exist is created. */
    void Set(1: string feature_name, 2: bool is_enabled) throws (1: FlipperException error),

    /** A flag that does not exist is no error. */
    void Delete(1: string feature_name) throws (1: FlipperException error),

    /** Ordered by name. Without limit, or with the 0 that Java and C++ send for none: all. */
    list<FeatureFlagStoreItem> List(1: i64 limit, 2: i64 offset) throws (1: FlipperException error),

    void SetMeta(1: string feature_name, 2: FeatureFlagStoreMeta meta) throws (1: FlipperException error),

    /** Merges the top-level keys into the client data that is there. For clients of the IDL of 2018. */
    void SetClientData(1: string feature_name, 2: JSON client_data) throws (1: FlipperException error),

    // From here on ours.

    /** As the store has it: the server asks the store. */
    FlagState ReadFlag(1: string feature_name) throws (1: FlipperException error),

    /**
     * Flags ordered by the bytes of their names, from the first after this name on, as the store has them; the server may send fewer
     * than the limit.
     */
    FlagPage ReadFlags(1: string after, 2: i64 limit) throws (1: FlipperException error),

    /** Writes the whole flag, or deletes it where no record is given, if the precondition holds. */
    FlagVersion CompareAndSet(1: string feature_name, 2: WritePrecondition precondition, 3: JSON record) throws (1: FlipperException error),

    /**
     * Waits for changes after the cursor, but not longer than this; the server may wait less. Without cursor: a reset, at once.
     * What is in the answer, a read of any kind that begins now shows too. Calls behind it on the same connection wait: give it a
     * connection of its own, with a read time-out well above timeout_ms.
     */
    WatchResult Watch(1: string cursor, 2: i64 timeout_ms) throws (1: FlipperException error),

    /** As ReadFlag, but from the server's memory where it has all flags there; never older than what Watch reported on this server. */
    FlagState ReadKnownFlag(1: string feature_name) throws (1: FlipperException error),

    /** As ReadFlags, in the same way. */
    FlagPage ReadKnownFlags(1: string after, 2: i64 limit) throws (1: FlipperException error),

    ServerDescription Describe() throws (1: FlipperException error)
}
