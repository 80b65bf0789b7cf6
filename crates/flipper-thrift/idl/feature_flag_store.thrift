/*
 * Flipper's flags as a service.
 *
 * The first part is the service of the Python library flipper-client 1.3.2, field for field: its clients and servers, and
 * those generated from its IDL in any language, work with ours. SetClientData is a call of the 2018 IDL. The second part
 * is Flipper's own: its clients watch changes and lose no write. It is optional for servers; see docs/thrift.md.
 */

namespace java com.carta.flipper
namespace py flipper_thrift.python.feature_flag_store
namespace rs feature_flag_store

/** JSON text. */
typedef string JSON

enum ErrorCode {
    NOT_FOUND = 0,

    // Only Flipper's own calls send the codes below. Clients of the Python library's IDL support only the first, and some
    // stop in the middle of a response with another: their calls get a TApplicationException with the message.
    /** The flag does not meet the precondition of CompareAndSet. */
    CONFLICT = 1,
    INVALID_NAME = 2,
    INVALID_INPUT = 3,
    /** The stored flag is unreadable. */
    CORRUPT = 4,
    /** The store behind the server is unreachable or did not answer in time; the same call may succeed later. */
    UNAVAILABLE = 5,
    UNAUTHORIZED = 6,
    UNSUPPORTED = 7,
    INTERNAL = 8,
    /** A subscriber of the server vetoed the write. */
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
    /** `operator` in the Python library's IDL, a keyword of C++ and Swift. Names of fields are not sent. */
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

/** One state of a flag. One of the two is set; neither means that the version is unknown. */
struct FlagVersion {
    /** The greater is newer; unsigned. */
    1: optional i64 ordered;
    /** Equal bytes mean equal content. */
    2: optional binary opaque;
}

/** A flag as its store has it. Without record and corrupt the flag is missing. */
struct FlagState {
    1: optional string feature_name;
    /** Of the flag, or of its deletion if the store counts. */
    2: optional FlagVersion version;
    /** The flag as all of Flipper's stores keep it, including fields of newer versions. */
    3: optional JSON record;
    /** Why the stored flag is unreadable. */
    4: optional string corrupt;
    /** The flag changed, but its state is unknown: read it again by ReadFlag. */
    5: optional bool unknown;
    /** In a response of Watch: the longest time between the read of the store and this response, in microseconds. */
    6: optional i64 read_us_ago;
}

struct FlagPage {
    1: optional list<FlagState> flags;
    /** Whether more flags follow. */
    2: optional bool more;
}

/** Of a write, for the store's history. */
struct WriteCause {
    /** What the write does, such as `enable`. Without it, or if the server does not know it, the history has what the write did. */
    1: optional string verb;
    /** Who: 1 to 255 bytes without control characters. The name of the client's certificate counts instead, if it has one. */
    2: optional string actor;
    /** Why: 1 byte to 4 KiB. */
    3: optional string reason;
    /** From where, such as `command` or `program`: 1 to 64 bytes without control characters. */
    4: optional string source;
}

/** A write happens only if this holds; if neither of the first two is set, always. */
struct WritePrecondition {
    /** The flag is missing. */
    1: optional bool absent;
    /** The flag exists and has this version. */
    2: optional FlagVersion unchanged;
    /** No condition: who writes, and why. Servers without a history skip it. */
    3: optional WriteCause cause;
}

struct WatchResult {
    /** For the next call, to the same server. */
    1: optional string cursor;
    /** The changes since the last call are unknown: read all flags by ReadKnownFlags, after this call, on the same connection. */
    2: optional bool reset;
    /** In order; each flag once, in its current state. */
    3: optional list<FlagState> changes;
    /**
     * Why the server's flags may differ from those of its store. Each response has it while the doubt lasts; a waiting
     * call is answered when the doubt begins, when it ends, and when the reason changes.
     */
    4: optional string lost;
    /** Identifies the start of the server. Absent from servers that report `lost` once. */
    5: optional string server;
    /** The time from the arrival of the call to this response. */
    6: optional i64 waited_us;
    /** All changes of the store up to this long before this response have been reported. */
    7: optional i64 confirmed_ms_ago;
    /** The store behind the server, without secrets. */
    8: optional string store;
    /** Whether that store has a history. */
    9: optional bool history;
}

/** A server, for its operator. */
struct ServerDescription {
    /** This and the next three are as in WatchResult. */
    1: optional string server;
    2: optional string store;
    3: optional string lost;
    4: optional i64 confirmed_ms_ago;
    /** The version of the server's program. */
    5: optional string version;
    /** The server's clock, Unix time in milliseconds. */
    6: optional i64 clock_ms;
    /** As in WatchResult. */
    7: optional bool history;
}

/** One write of one flag. */
struct HistoryEntry {
    1: optional string id;
    2: optional string feature_name;
    /** Unix time in nanoseconds, by the clock of the store or its writer. */
    3: optional i64 at_ns;
    4: optional string verb;
    5: optional string actor;
    6: optional string reason;
    /** Absent if the flag was changed by a program that is not Flipper. */
    7: optional string source;
    /** The flag before and after, with record or corrupt; absent if it was missing. */
    8: optional FlagState before;
    9: optional FlagState after;
}

struct HistoryPage {
    /** The newest first. */
    1: optional list<HistoryEntry> entries;
    /** If older entries may follow: the `before` of the next call. */
    2: optional string older;
}

service FeatureFlagStore {
    /** Replaces an existing flag. */
    FeatureFlagStoreItem Create(1: string feature_name, 2: bool is_enabled, 3: JSON client_data) throws (1: FlipperException error),

    FeatureFlagStoreItem Get(1: string feature_name) throws (1: FlipperException error),

    /** Creates a missing flag. */
    void Set(1: string feature_name, 2: bool is_enabled) throws (1: FlipperException error),

    /** A missing flag is no error. */
    void Delete(1: string feature_name) throws (1: FlipperException error),

    /** Ordered by name. Without a limit, or with the 0 that Java and C++ send for none, all flags. */
    list<FeatureFlagStoreItem> List(1: i64 limit, 2: i64 offset) throws (1: FlipperException error),

    void SetMeta(1: string feature_name, 2: FeatureFlagStoreMeta meta) throws (1: FlipperException error),

    /** Merges the top-level keys into the stored client data. For clients of the 2018 IDL. */
    void SetClientData(1: string feature_name, 2: JSON client_data) throws (1: FlipperException error),

    // Flipper's own calls.

    /** The flag from the store. */
    FlagState ReadFlag(1: string feature_name) throws (1: FlipperException error),

    /**
     * Flags from the store, ordered by the bytes of their names, starting after the given name. The server may send fewer
     * than the limit.
     */
    FlagPage ReadFlags(1: string after, 2: i64 limit) throws (1: FlipperException error),

    /** Writes the whole flag, or deletes it if there is no record, if the precondition holds. */
    FlagVersion CompareAndSet(1: string feature_name, 2: WritePrecondition precondition, 3: JSON record) throws (1: FlipperException error),

    /**
     * Waits for changes after the cursor, at most for the timeout; the server may wait less. Without a cursor: a reset, at once.
     * Any read that begins after the response shows what it reports. Later calls on the same connection wait: give Watch its
     * own connection, with a read timeout well above timeout_ms.
     */
    WatchResult Watch(1: string cursor, 2: i64 timeout_ms) throws (1: FlipperException error),

    /** As ReadFlag, but from the server's memory if that holds all flags; never older than the last report of Watch on this server. */
    FlagState ReadKnownFlag(1: string feature_name) throws (1: FlipperException error),

    /** As ReadFlags, but from memory like ReadKnownFlag. */
    FlagPage ReadKnownFlags(1: string after, 2: i64 limit) throws (1: FlipperException error),

    ServerDescription Describe() throws (1: FlipperException error),

    /**
     * Entries of one flag, or of all, older than the one with the id `before`, whose time is not before since_ns. The server may send
     * fewer than the limit, of at most 1,000. UNSUPPORTED if the store has no history. An empty text, or the 0
     * that clients in C++ and Go send for none, counts as absent.
     */
    HistoryPage History(1: string feature_name, 2: i64 since_ns, 3: string before, 4: i64 limit) throws (1: FlipperException error)
}
