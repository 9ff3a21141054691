import FoundationEssentials
package import Invalidation
import Synchronization

/// The one place where the event loop's thread and the HTTP server meet: small snapshots under a Mutex, which
/// nobody holds for longer than a copy takes.
package final class StatusBoard: Sendable {
  /// What the event loop published last, and what the board worked out of it.
  package struct Snapshot: Sendable {
    package var status: EngineStatus
    package var statistics: Statistics
    /// What was deleted last.
    package var history: InvalidationHistory
    /// The event loop's time of the publication.
    package var moment: Moment
    /// The same moment on the board's own clock; its age says whether the event loop still turns.
    package var published: ContinuousClock.Instant
    /// Without a word of the event loop for this long it counts as stalled.
    package let maximumSilence: Duration
    /// False until the first publication; the status is a placeholder then.
    package var hasReported = false
    package var checks: [HealthCheck]
    package var rates: [Rate]
    /// The last ten minutes, the oldest first.
    package var chart: [ChartPoint]
    /// The last warnings and errors, the oldest first.
    package var recentNotices: [RecordedNotice]

    /// Nothing was published yet: not ready, and every number zero.
    fileprivate init(unpublishedSince created: ContinuousClock.Instant, maximumSilence: Duration) {
      self.maximumSilence = maximumSilence
      status = EngineStatus()
      status.notReady = [.init(check: "loop", message: "the event loop has not reported yet")]
      statistics = Statistics()
      history = InvalidationHistory(since: 0)
      moment = Moment(monotonic: 0, wall: 0)
      published = created
      checks = []
      rates = []
      chart = []
      recentNotices = []
    }
  }

  /// The most requests that may wait at the same time.
  package static let maximumWaiters = 10_000

  private struct State {
    var latest: Snapshot
    var health = HealthLedger()
    var rates = RateHistory()
    var chart = ChartHistory()
    var notices = NoticeHistory()
    var waiting = WaitQueue(limit: StatusBoard.maximumWaiters)
    var awaited: [LSN] = []
    var wake: (@Sendable () -> Void)?
    var closed = false
  }

  private let state: Mutex<State>
  private let change: AsyncStream<Void>.Continuation

  /// Yields when a check begins or ceases to fail; for one reader, and only the last one is kept for it.
  let healthChanges: AsyncStream<Void>

  /// The event loop publishes once a second; without a word for `maximumSilence` it counts as stalled.
  package init(maximumSilence: Duration = .seconds(5)) {
    (healthChanges, change) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    state = Mutex(State(latest: Snapshot(unpublishedSince: .now, maximumSilence: maximumSilence)))
  }

  /// Called by the event loop's thread: at most every 100 ms, at least once a second, and at once when the
  /// settled position moves while somebody waits for it.
  package func publish(
    _ status: EngineStatus, _ statistics: Statistics,
    _ history: InvalidationHistory = InvalidationHistory(since: 0), at now: Moment
  ) {
    let (done, isChange) = state.withLock { state in
      let isChange = state.latest.status.failingChecks != status.failingChecks
      state.latest.status = status
      state.latest.statistics = statistics
      state.latest.history = history
      state.latest.moment = now
      state.latest.published = .now
      state.latest.hasReported = true
      state.health.update(status, at: now.wall)
      state.rates.record(statistics, at: now.monotonic)
      state.chart.record(statistics, lagBytes: state.latest.lagBytes, at: now)
      return (state.waiting.take(upTo: status.claimable), isChange)
    }
    for waiter in done { waiter.resume(returning: .settled(status.settled)) }
    if isChange { change.yield() }
  }

  package func snapshot() -> Snapshot {
    state.withLock { state in
      var snapshot = state.latest
      snapshot.checks = state.health.checks
      snapshot.rates = state.rates.rates
      snapshot.chart = state.chart.points
      snapshot.recentNotices = state.notices.recent
      return snapshot
    }
  }

  /// Keeps a warning or an error for `/status`.
  package func record(_ notice: Notice) {
    guard notice.severity >= .warning else { return }
    let recorded = RecordedNotice(at: Date.now, notice)
    state.withLock { $0.notices.append(recorded) }
  }

  /// Whether somebody waits for a position that the last published status has not settled.
  package var hasWaiters: Bool { waiterCount > 0 }

  /// How many requests wait.
  var waiterCount: Int { state.withLock { $0.waiting.count } }

  /// The positions that were asked for since the last call; the event loop hands each to the Engine as
  /// `Event.awaited`.
  package func takeAwaited() -> [LSN] {
    state.withLock { state in
      let awaited = state.awaited
      state.awaited = []
      return awaited
    }
  }

  /// `wake` is called, from any thread, when there is something to take; at once when there already is. It must not block.
  package func onAwait(_ wake: @escaping @Sendable () -> Void) {
    // HTTP is served before the event loop turns. What was asked for until now woke nobody, and what follows does not:
    // only the first position of a list does.
    let isLate = state.withLock { state in
      state.wake = wake
      return !state.awaited.isEmpty
    }
    if isLate { wake() }
  }

  /// Returns as soon as the published status proves that `lsn` is settled: at or beyond it, streaming, every
  /// target connected, the watermark intact and no flush open (contract 4). A cancelled task stops waiting at once.
  package func wait(for lsn: LSN, timeout: Duration) async -> WaitOutcome {
    let ticket = state.withLock { $0.waiting.makeTicket(for: lsn) }
    var alarm: Task<Void, Never>?
    defer { alarm?.cancel() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (outcome, wake) = enqueue(ticket, continuation)
        wake?()
        if let outcome {
          continuation.resume(returning: outcome)
        } else {
          alarm = Task {
            do { try await Task.sleep(for: timeout) } catch { return }
            self.abandon(ticket, .timedOut)
          }
        }
      }
    } onCancel: {
      abandon(ticket, .cancelled)
    }
  }

  /// Ends every wait, now and from now on: the event loop has stopped, so nothing will settle any more.
  package func close() {
    let waiting = state.withLock { state in
      state.closed = true
      return state.waiting.takeAll()
    }
    for waiter in waiting { waiter.resume(returning: .stopping) }
  }

  /// Puts the ticket into the queue and returns nil, or says why there is nothing to wait for.
  private func enqueue(
    _ ticket: WaitQueue.Ticket, _ continuation: CheckedContinuation<WaitOutcome, Never>
  ) -> (WaitOutcome?, wake: (@Sendable () -> Void)?) {
    state.withLock { state in
      if state.closed { return (.stopping, nil) }
      // Judged under the lock: a cancellation that comes later finds the ticket in the queue.
      if Task.isCancelled { return (.cancelled, nil) }
      if let claimable = state.latest.status.claimable, ticket.lsn <= claimable {
        return (.settled(state.latest.status.settled), nil)
      }
      guard state.waiting.insert(ticket, continuation) else { return (.tooMany, nil) }
      // A full list means that the event loop is busy; the heartbeat settles what is left out.
      if state.awaited.count < StatusBoard.maximumWaiters { state.awaited.append(ticket.lsn) }
      return (nil, state.awaited.count == 1 ? state.wake : nil)
    }
  }

  private func abandon(_ ticket: WaitQueue.Ticket, _ outcome: WaitOutcome) {
    let waiter = state.withLock { $0.waiting.remove(ticket) }
    waiter?.resume(returning: outcome)
  }
}

extension EngineStatus {
  fileprivate var failingChecks: [String] { (notReady + degraded).map(\.check) }

  /// The position that `/wait` may claim as settled; nil while it cannot be proved. A Redis that is away may come
  /// back without its last deletes (contract 3), and a server that is away may come back on another timeline,
  /// where an earlier position stands for other transactions.
  var claimable: LSN? {
    let unproven = notReady.contains { ["source", "redis", "watermark", "gap"].contains($0.check) }
    return unproven || !openFlushes.isEmpty || isInDoubt ? nil : seen
  }
}
