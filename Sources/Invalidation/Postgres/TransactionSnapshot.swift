/// What `pg_current_snapshot()` printed: which transactions a reader that starts now can see.
///
/// Source: PostgreSQL manual, chapter 9.27.8 "Transaction ID and Snapshot Information Functions".
package struct TransactionSnapshot: Sendable, Equatable, CustomStringConvertible {
  /// Every transaction below it has ended. 64 bits, epoch included.
  package var xmin: UInt64
  /// No transaction at or above it has ended.
  package var xmax: UInt64
  /// The low 32 bits of those in progress, ascending as unsigned numbers.
  package private(set) var inProgress: [UInt32]

  package init(xmin: UInt64, xmax: UInt64, inProgress: [UInt64]) {
    self.xmin = xmin
    self.xmax = xmax
    self.inProgress = inProgress.map { UInt32(truncatingIfNeeded: $0) }.sorted()
  }

  /// Reads the text form `xmin:xmax:xip,xip`; nil for anything else.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, let xmin = UInt64(parts[0]), let xmax = UInt64(parts[1]) else { return nil }
    var inProgress: [UInt64] = []
    for part in parts[2].split(separator: ",") {
      guard let xid = UInt64(part) else { return nil }
      inProgress.append(xid)
    }
    self.init(xmin: xmin, xmax: xmax, inProgress: inProgress)
  }

  /// The text form, in the order of the epochs.
  package var description: String {
    let low = UInt32(truncatingIfNeeded: xmin)
    // None is further than 2^31 from the oldest.
    let listed = inProgress.map { xmin + UInt64($0 &- low) }.sorted().map(String.init)
    return "\(xmin):\(xmax):" + listed.joined(separator: ",")
  }

  /// Whether a committed transaction, named by the 32-bit xid of its Begin message, can be seen (contract 1).
  package func sees(_ xid: UInt32) -> Bool {
    guard Int32(bitPattern: xid &- UInt32(truncatingIfNeeded: xmax)) < 0 else { return false }
    if inProgress.isEmpty { return true }
    var low = 0
    var high = inProgress.count
    while low < high {
      let middle = (low + high) / 2
      if inProgress[middle] < xid { low = middle + 1 } else { high = middle }
    }
    return low == inProgress.count || inProgress[low] != xid
  }
}
