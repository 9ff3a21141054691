import FoundationEssentials
import NIOCore
import ServiceLifecycle
import Synchronization

/// Tells every client of `/events` how the daemon is: once a second, and at once when a check begins or ceases to fail.
///
/// An event is encoded once for all of them. For a client that does not read, one event waits at most, and the newest
/// takes its place; the event loop knows nothing of any of this.
final class EventFeed: Service {
  struct Limits {
    /// From one event to the next.
    var interval = Duration.seconds(1)
    var clients = 64
    /// How many events in a row a client may miss before its connection is closed.
    var missedEvents = 30
  }

  /// What a client is told first, and what follows.
  struct Subscription {
    let opening: ByteBuffer
    let events: AsyncStream<ByteBuffer>
  }

  private struct Client {
    let continuation: AsyncStream<ByteBuffer>.Continuation
    let channel: any Channel
    /// Events in a row.
    var missed = 0

    mutating func offer(_ event: ByteBuffer) {
      if case .dropped = continuation.yield(event) { missed += 1 } else { missed = 0 }
    }

    /// Ends the connection too: what waits to be written to it would never be.
    func end() {
      continuation.finish()
      channel.close(promise: nil)
    }
  }

  private struct State {
    var clients: [UInt64: Client] = [:]
    var nextNumber: UInt64 = 0
    var opening: (made: ContinuousClock.Instant, bytes: ByteBuffer)?
    var isClosed = false
  }

  let limits: Limits
  private let board: StatusBoard
  private let identity: DaemonIdentity
  private let state = Mutex(State())

  init(_ board: StatusBoard, _ identity: DaemonIdentity, limits: Limits = Limits()) {
    self.board = board
    self.identity = identity
    self.limits = limits
  }

  /// How many listen.
  var clientCount: Int { state.withLock { $0.clients.count } }

  /// Nil when too many listen already, or the daemon is stopping. The place is free again once the events are not
  /// waited for any more.
  func subscribe(_ channel: any Channel) -> Subscription? {
    let (events, continuation) = AsyncStream.makeStream(
      of: ByteBuffer.self, bufferingPolicy: .bufferingNewest(1))
    let number = state.withLock { state -> UInt64? in
      guard !state.isClosed, state.clients.count < limits.clients else { return nil }
      state.nextNumber += 1
      state.clients[state.nextNumber] = Client(continuation: continuation, channel: channel)
      return state.nextNumber
    }
    guard let number else { return nil }
    continuation.onTermination = { [weak self] _ in self?.leave(number) }
    return Subscription(opening: opening(), events: events)
  }

  private func leave(_ number: UInt64) {
    // Released outside the lock, where it may run what ends a stream.
    let client = state.withLock { $0.clients.removeValue(forKey: number) }
    _ = client
  }

  /// Sends events until it is shut down, and ends every client's stream then, which has no end of its own. To be called
  /// once, and to be shut down before the servers, which wait for their clients.
  func run() async {
    await cancelWhenGracefulShutdown { await self.sendForever() }
    close()
  }

  private func sendForever() async {
    await withTaskGroup { group in
      group.addTask { [board] in
        for await _ in board.healthChanges { self.send() }
      }
      group.addTask { [limits] in
        while (try? await Task.sleep(for: limits.interval)) != nil { self.send() }
      }
    }
  }

  private func send() {
    guard clientCount > 0 else { return }
    let event = EventReport(board.snapshot(), identity, points: EventReport.newestPoints).event
    let lost = state.withLock { state in
      for number in Array(state.clients.keys) { state.clients[number]?.offer(event) }
      return state.clients.values.filter { $0.missed > limits.missedEvents }
    }
    for client in lost { client.end() }
  }

  private func close() {
    let clients = state.withLock { state in
      state.isClosed = true
      return Array(state.clients.values)
    }
    for client in clients { if client.missed > 0 { client.end() } else { client.continuation.finish() } }
  }

  /// The whole chart, for a page that has just been opened.
  private func opening() -> ByteBuffer {
    state.withLock { state in
      if let opening = state.opening, opening.made.duration(to: .now) < limits.interval {
        return opening.bytes
      }
      let retry = "retry: \(EventFeed.retryMilliseconds)\n\n"
      let bytes = ByteBuffer(string: retry + EventReport(board.snapshot(), identity, points: .max).text)
      state.opening = (.now, bytes)
      return bytes
    }
  }

  /// After what time a browser connects again.
  private static let retryMilliseconds = 1_000
}
