import DequeModule

/// A transaction whose keys wait until a snapshot sees it (contract 1).
struct WaitingTransaction: Sendable {
  var number: UInt64
  var xid: UInt32
  /// Where its commit record lies, and the end of what the stream brought before it.
  var position: LSN
  var preceding: LSN
  var commitTime: Int64
  var since: Int64
  var keys = KeyBuffer()
  /// Its Commit message has come.
  var isCommitted = false
  /// A snapshot asked for after it arrived did not see it.
  var isParked = false
  /// Its keys outgrew the limit and were dropped: once visible, the stream has to start again before it.
  var isDropped = false
}

/// The visibility barrier: holds the keys of transactions that a reader may not see yet, in commit order.
struct Barrier: Sendable {
  /// Beyond it a parked transaction's keys are dropped (contract 1).
  static let memoryLimit = 8 << 20
  /// Beyond it the stream waits for the snapshot that was asked for.
  static let uncheckedLimit = 1 << 20
  /// So many transactions are remembered; then the stream waits.
  static let countLimit = 100_000

  private(set) var waiting = Deque<WaitingTransaction>()
  private(set) var keyBytes = 0
  private(set) var snapshot: TransactionSnapshot?
  /// When it was taken in. 32-bit xids are compared with it, so it must not grow 2^31 transactions old.
  private(set) var snapshotAt: Int64 = 0
  static let snapshotLifetime: Int64 = 600_000_000_000
  private var nextNumber: UInt64 = 1
  /// How many of `waiting` no snapshot has been asked for since they arrived, or whose answer is under way.
  private(set) var uncheckedCount = 0

  /// The number below which every waiting transaction was there when the snapshot under way was asked for.
  private var askedBelow: UInt64 = 0

  /// The log knows that one is parked for long.
  var isParkedTold = false

  var parkedCount: Int { waiting.count - uncheckedCount }
  /// When the oldest parked transaction arrived.
  var parkedSince: Int64? { parkedCount > 0 ? waiting.first { $0.isParked }?.since : nil }

  /// Whether the stream is to pause: too much waits for an answer, or too many are parked.
  var isFull: Bool {
    waiting.count >= Barrier.countLimit || (uncheckedCount > 0 && keyBytes > Barrier.uncheckedLimit)
  }

  /// Whether a transaction may pass at once: the last snapshot sees it and nothing unchecked is before it.
  @inline(__always)
  func isOpen(for xid: UInt32, at time: Int64) -> Bool {
    guard uncheckedCount == 0, let snapshot, time - snapshotAt < 2 * Barrier.snapshotLifetime else {
      return false
    }
    return snapshot.sees(xid)
  }

  /// Lets a transaction wait; answers its number.
  mutating func enter(_ transaction: StreamState.Transaction, after preceding: LSN, at time: Int64) -> UInt64
  {
    let number = nextNumber
    nextNumber += 1
    waiting.append(
      WaitingTransaction(
        number: number, xid: transaction.xid, position: transaction.position, preceding: preceding,
        commitTime: transaction.commitTime, since: time))
    uncheckedCount += 1
    return number
  }

  /// Adds keys to the transaction that entered last.
  mutating func hold(_ keys: borrowing KeyBuffer) {
    guard let last = waiting.indices.last, !waiting[last].isDropped else { return }
    let before = waiting[last].keys.byteCount
    waiting[last].keys.append(keys)
    keyBytes += waiting[last].keys.byteCount - before
    if keyBytes > Barrier.memoryLimit, waiting[last].isParked {
      keyBytes -= waiting[last].keys.byteCount
      waiting[last].keys.removeAll(keepingCapacity: false)
      waiting[last].isDropped = true
    }
  }

  mutating func commitLast() {
    guard let last = waiting.indices.last else { return }
    waiting[last].isCommitted = true
  }

  /// A snapshot is being asked for now.
  mutating func willAsk() { askedBelow = nextNumber }

  /// Takes in an answer and hands out, in commit order, the transactions that it sees.
  mutating func clear(with snapshot: TransactionSnapshot, at time: Int64) -> [WaitingTransaction] {
    self.snapshot = snapshot
    snapshotAt = time
    var visible: [WaitingTransaction] = []
    uncheckedCount = 0
    for index in waiting.indices {
      if snapshot.sees(waiting[index].xid) {
        visible.append(waiting[index])
      } else if waiting[index].number < askedBelow {
        waiting[index].isParked = true
      } else {
        uncheckedCount += 1
      }
    }
    if visible.count == waiting.count {
      waiting.removeAll(keepingCapacity: true)
      keyBytes = 0
    } else if !visible.isEmpty {
      waiting.removeAll { snapshot.sees($0.xid) }
      keyBytes -= visible.reduce(0) { $0 + $1.keys.byteCount }
    }
    return visible
  }

  /// Goes on with other rules; forgets keys of those that are gone.
  mutating func replaceRules(_ mapping: RuleMapping) {
    for index in waiting.indices { waiting[index].keys.follow(mapping) }
    keyBytes = waiting.reduce(0) { $0 + $1.keys.byteCount }
  }

  /// Forgets everything: the stream will come again.
  mutating func reset() {
    waiting.removeAll()
    keyBytes = 0
    uncheckedCount = 0
    snapshot = nil
  }
}
