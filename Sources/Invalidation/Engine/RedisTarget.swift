import DequeModule

/// One Redis primary: its connection's state, the batches on their way to it, and the chain of watermarks.
struct RedisTarget: Sendable {
  /// A batch closes at either limit, so that one MULTI never blocks Redis for long (contract 3).
  static let batchKeyLimit = 1_000
  static let batchByteLimit = 64 << 10
  /// Beyond it the stream waits.
  static let unacknowledgedLimit = 8 << 20
  /// So many batches are in flight before small ones gather.
  static let pipelineDepth = 4

  enum Link: Sendable, Equatable {
    /// Not connected; the next try is due then.
    case down(retryAt: Int64)
    case connecting
    /// Connected; the watermark's name is not known yet, since PostgreSQL never answered.
    case idle
    /// INFO and GET are under way.
    case asking
    /// What Redis holds is known; waits for the stream to start.
    case asked
    /// Batches flow.
    case ready
    /// A compare-and-set failed; the replies of the batches behind it are awaited before asking again.
    case mismatched
  }

  /// What the next reply answers.
  enum Expectation: Sendable, Equatable {
    case serverInformation, replicationInformation, watermark, ruleSet
    case multi, queued, execution
    /// A bare delete of a batch that OOM refused inside MULTI.
    case bareDelete
    /// The evicted watermark, written again.
    case repair
    /// Of the flush job with this number.
    case scan(job: UInt64)
    case flushDelete(job: UInt64)
  }

  /// Which Redis process and history answers.
  struct Identity: Sendable, Equatable {
    var run = ""
    var replication = ""
    var role = ""
  }

  /// What Redis answered to the questions asked on a connection.
  struct Found: Sendable, Equatable {
    var identity = Identity()
    var watermark: [UInt8] = []
    var ruleSet: [UInt8] = []
  }

  var link: Link
  var backoff = Backoff()
  var expected = Deque<Expectation>()
  /// When the last reply came, or the first command after silence was sent.
  var progressAt: Int64 = 0
  var found = Found()
  /// The identity when the chain was last judged intact.
  var identity = Identity()
  /// No connection was lost since the last judgement, so a missing watermark was evicted.
  var isUnbroken = false
  var lastError: String?
  /// A batch was acknowledged at some time.
  var wasReady = false
  /// The chain has just begun: another instance may have written since it was judged.
  var isVerifying = false

  /// Keys for the next batch.
  var open = KeyBuffer()
  var openOrigins = KeyOrigins()
  var openCommitTimes: [Int64] = []
  /// Up to where deletes were acknowledged at some time. What Redis has lost since is not timed a second time, from a
  /// commit that may be long ago.
  var timed = LSN.zero
  /// A keyed transaction ended exactly with a batch, or a flush ended: the watermark is to move soon.
  var needsWatermark = false

  /// Closed batches that are not acknowledged, oldest first; the first `sentCount` are on the wire.
  var inFlight = Deque<Batch>()
  var sentCount = 0
  var unacknowledgedBytes = 0
  /// Redis refused a MULTI, so that what was pipelined behind it ran bare, or a delete inside one: the watermark may
  /// have moved without its deletes.
  var ranBare = false
  /// After an OOM the deletes go outside first (contract 3).
  var deletesOutside = false

  /// The value of the last acknowledged batch, and of the last closed one.
  var acknowledgedValue: [UInt8] = []
  /// Whether the acknowledged watermark tells of an open flush: until it does not, the flush's end may be lost.
  var acknowledgedFlush = false
  var tip: [UInt8] = []
  /// The open flushes that `tip` tells of.
  var tipFlushes: [String] = []
  var batchNumber: UInt64 = 0
  /// The rules' fingerprints have to go with the next batch.
  var owesRuleSet = false
  var ledger = Ledger(position: .zero)
  /// What the acknowledged batches cover: with their first deletes, and with the second ones too.
  var applied = LSN.zero
  var settled = LSN.zero
  var closedAt: Int64 = 0

  init(now: Int64) { link = .down(retryAt: now) }

  /// Whether it has acknowledged the deletes of the transaction whose commit record lies there, at some time.
  func hasAcknowledged(_ position: LSN) -> Bool { position < timed }

  /// All keys of a transaction are in batches; `position` is that of its commit record.
  mutating func endTransaction(committedAt commitTime: Int64, position: LSN) {
    if !hasAcknowledged(position) { openCommitTimes.append(commitTime) }
    needsWatermark = true
  }

  /// Whether these keys do not close the next batch.
  @inline(__always)
  func hasRoomInOpen(for keys: borrowing KeyBuffer) -> Bool {
    open.count + keys.count < RedisTarget.batchKeyLimit
      && open.bytes.count + keys.bytes.count < RedisTarget.batchByteLimit
  }

  var isConnected: Bool {
    switch link {
    case .down, .connecting: false
    default: true
    }
  }

  /// Starts a chain of watermarks on what Redis holds.
  mutating func beginChain(at position: LSN, now: Int64) {
    dropWork()
    acknowledgedValue = found.watermark
    tip = found.watermark
    tipFlushes = Watermark(found.watermark)?.openFlushes ?? []
    acknowledgedFlush = !tipFlushes.isEmpty
    identity = found.identity
    ledger = Ledger(position: position)
    applied = position
    settled = position
    owesRuleSet = true
    needsWatermark = true
    closedAt = now
  }

  /// Forgets batches and keys on the way: the stream will bring them again.
  mutating func dropWork() {
    dropOpen()
    inFlight.removeAll()
    sentCount = 0
    unacknowledgedBytes = 0
  }

  /// Goes on with other rules; keys of those that are gone leave the next batch, and what is on the way is not counted for
  /// them.
  mutating func replaceRules(_ mapping: RuleMapping) {
    openOrigins.follow(mapping, rules: open.rules)
    open.follow(mapping)
    for index in inFlight.indices {
      inFlight[index].ruleCounts = inFlight[index].ruleCounts.compactMap { entry in
        mapping(Int(entry.rule)).map { Batch.RuleCount(rule: UInt32($0), count: entry.count) }
      }
    }
  }

  /// Forgets the keys that no batch holds yet.
  mutating func dropOpen() {
    open.removeAll(keepingCapacity: true)
    openOrigins.removeAll()
    openCommitTimes.removeAll(keepingCapacity: true)
    needsWatermark = false
  }
}
