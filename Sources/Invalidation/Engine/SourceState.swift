/// Where the connections to PostgreSQL are.
struct SourceState: Sendable {
  enum Phase: Sendable, Equatable {
    case down(retryAt: Int64)
    case connecting
    /// Connected; waits until every target's watermark is known.
    case judging
    case starting
    case streaming
    /// SIGTERM: what is in flight ends, then everything.
    case draining(until: Int64)
    /// Halted or finished: nothing happens any more.
    case ended
  }

  var phase: Phase
  var backoff = Backoff()
  var facts: SourceFacts?
  /// What the judgement decided, until the server has started the stream.
  var plan: StartPlan?
  /// When the stream started.
  var startedAt: Int64 = 0
  var failure: SourceFailure?
  /// What the slot that is being made waits for.
  var blocker: BlockingTransaction?
  /// The publication was found to leave changes out: what they were is not known, whatever it looks like afterwards.
  var hasMissedChanges = false
  /// Ruled tables whose changes the publication did not carry when it was looked at last.
  var unpublished: Set<TableName> = []
  /// A watermark seemed to be beyond the WAL's end: the server is asked once more.
  var suspected: LSN?
  /// The last keepalive or message, for the search for a frozen peer.
  var lastMessageAt: Int64 = 0
  var hasHadMessage = false
  /// The server was asked to answer since the last message.
  var probedAt: Int64?
  var feedbackDueAt: Int64 = 0
  /// What the server keeps for cdcd, as it told last on this stream; and when it is asked again.
  var retention: ServerRetention?
  var retentionDueAt: Int64 = 0
  var wasStreaming = false
  /// The last try found the slot in use.
  var waitsForSlot = false

  init(retryAt: Int64) { phase = .down(retryAt: retryAt) }
}

/// The query connection: one question at a time.
struct QueryState: Sendable {
  enum Link: Sendable, Equatable {
    case down(retryAt: Int64)
    case connecting
    case idle
    case asking(since: Int64)
  }

  var link: Link = .down(retryAt: .max)
  var backoff = Backoff()
  /// When parked transactions, or a flush's barrier, are looked at again.
  var recheckAt: Int64 = 0
  var recheckDelay: Int64 = QueryState.firstRecheck
  var isSnapshotNeeded = false
  /// Since when no query was answered, and why.
  var failingSince: Int64?
  var failure: SourceFailure?
  /// When the server was last looked at as a whole; it is once a minute, and sooner while a transaction is parked.
  var renewedAt: Int64 = 0
  /// DDL that was told of, which may have changed what is published.
  struct ToldChange: Sendable, Equatable {
    /// Nil for a message outside a transaction.
    var xid: UInt32?
    /// Before it is visible.
    var position: LSN
  }

  /// What no look at the catalogue has seen.
  var changes: [ToldChange] = []
  /// So many of them came before the look that is under way.
  var changesLookedFor = 0
  var isLookWanted: Bool { !changes.isEmpty }

  mutating func tell(_ change: ToldChange) {
    if changes.last != change { changes.append(change) }
  }

  /// The catalogue was looked at with this snapshot; DDL may be on the wire before a snapshot shows it.
  mutating func look(with snapshot: TransactionSnapshot) {
    changes = changes.enumerated().filter { index, change in
      !(change.xid.map(snapshot.sees) ?? (index < changesLookedFor))
    }.map(\.element)
    changesLookedFor = 0
  }

  static let renewal: Int64 = 60_000_000_000
  static let renewalWhileParked: Int64 = 5_000_000_000
  static let renewalWhileMending: Int64 = 5_000_000_000
  static let renewalAfterDDL: Int64 = 1_000_000_000

  static let firstRecheck: Int64 = 1_000_000
  static let slowestRecheck: Int64 = 100_000_000
  static let timeLimit: Int64 = 10_000_000_000
  static let longestDelay: Int64 = 500_000_000
  static let failureLimit: Int64 = 30_000_000_000
}

/// What a start of the stream is to do.
struct StartPlan: Sendable, Equatable {
  struct Gap: Sendable, Equatable {
    var reason: GapReason
    var rules: [Int]
  }
  var position: LSN
  var gaps: [Gap]
  /// The chain of watermarks goes on in this process; else each target's begins with what was found.
  var continues: Bool
}

/// The history that the watermarks belong to.
struct Continuity: Sendable, Equatable {
  var system: String
  var timeline: UInt32
  var crashMarker: String
}
