import NIOCore
import Synchronization

/// The HTTP connections of all addresses, so that many which ask nothing keep out nobody who does.
final class ConnectionRegister: Sendable {
  /// Stands for one connection.
  struct Ticket: Hashable, Sendable {
    fileprivate let number: UInt64
  }

  private struct Entry {
    let channel: any Channel
    /// Nil while a request is read or answered; else the smaller, the longer ago it fell idle.
    var idleSince: UInt64?
  }

  private struct State {
    var entries: [Ticket: Entry] = [:]
    private(set) var ticks: UInt64 = 0

    mutating func tick() -> UInt64 {
      ticks += 1
      return ticks
    }
  }

  private let capacity: Int
  private let state = Mutex(State())

  init(capacity: Int) { self.capacity = capacity }

  var count: Int { state.withLock { $0.entries.count } }

  /// Takes in a connection, which is idle at first; where there is no room the one that has been idle for the longest is
  /// closed. Nil when all are being answered.
  func add(_ channel: any Channel) -> Ticket? {
    let (ticket, evicted) = state.withLock { state -> (Ticket?, (any Channel)?) in
      var evicted: (any Channel)?
      if state.entries.count >= capacity {
        guard let oldest = longestIdle(of: state) else { return (nil, nil) }
        evicted = state.entries.removeValue(forKey: oldest)?.channel
      }
      let tick = state.tick()
      let ticket = Ticket(number: tick)
      state.entries[ticket] = Entry(channel: channel, idleSince: tick)
      return (ticket, evicted)
    }
    evicted?.close(promise: nil)
    return ticket
  }

  private func longestIdle(of state: State) -> Ticket? {
    state.entries.filter { $0.value.idleSince != nil }
      .min { ($0.value.idleSince ?? 0) < ($1.value.idleSince ?? 0) }?.key
  }

  func setIdle(_ ticket: Ticket, _ isIdle: Bool) {
    state.withLock { state in
      let tick = state.tick()
      state.entries[ticket]?.idleSince = isIdle ? tick : nil
    }
  }

  func remove(_ ticket: Ticket) { state.withLock { _ = $0.entries.removeValue(forKey: ticket) } }
}
