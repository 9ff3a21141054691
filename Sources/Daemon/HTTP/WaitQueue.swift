package import Invalidation

/// How a wait for a position ended.
package enum WaitOutcome: Sendable, Equatable {
  /// Everything up to this position, at or beyond the awaited one, is settled.
  case settled(LSN)
  case timedOut
  /// Whoever waited has gone away.
  case cancelled
  /// Too many wait already.
  case tooMany
  /// The daemon is stopping.
  case stopping
}

/// Those who wait for a position, in the order of the positions, so that a publication looks only at the ones
/// it satisfies.
struct WaitQueue {
  typealias Continuation = CheckedContinuation<WaitOutcome, Never>

  struct Ticket: Sendable, Comparable {
    let lsn: LSN
    fileprivate let number: UInt64

    static func < (left: Ticket, right: Ticket) -> Bool {
      (left.lsn, left.number) < (right.lsn, right.number)
    }
  }

  private struct Waiter {
    let ticket: Ticket
    let continuation: Continuation
  }

  private let limit: Int
  private var waiters: [Waiter] = []
  private var nextNumber: UInt64 = 0

  init(limit: Int) { self.limit = limit }

  var count: Int { waiters.count }

  mutating func makeTicket(for lsn: LSN) -> Ticket {
    nextNumber += 1
    return Ticket(lsn: lsn, number: nextNumber)
  }

  /// False when the queue is full.
  mutating func insert(_ ticket: Ticket, _ continuation: Continuation) -> Bool {
    guard waiters.count < limit else { return false }
    waiters.insert(Waiter(ticket: ticket, continuation: continuation), at: position(of: ticket))
    return true
  }

  /// Nil when the ticket is not in the queue any more.
  mutating func remove(_ ticket: Ticket) -> Continuation? {
    let index = position(of: ticket)
    guard index < waiters.count, waiters[index].ticket == ticket else { return nil }
    return waiters.remove(at: index).continuation
  }

  /// Takes everybody who waits for a position up to `lsn`; nobody when it is nil.
  mutating func take(upTo lsn: LSN?) -> [Continuation] {
    guard let lsn, let first = waiters.first, first.ticket.lsn <= lsn else { return [] }
    let end = position(of: Ticket(lsn: lsn, number: .max))
    let taken = waiters[..<end].map(\.continuation)
    waiters.removeFirst(end)
    return taken
  }

  mutating func takeAll() -> [Continuation] {
    defer { waiters = [] }
    return waiters.map(\.continuation)
  }

  /// The index of the first waiter whose ticket is not before this one.
  private func position(of ticket: Ticket) -> Int {
    var low = 0
    var high = waiters.count
    while low < high {
      let middle = (low + high) / 2
      if waiters[middle].ticket < ticket { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
