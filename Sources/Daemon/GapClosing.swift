import Invalidation
import Logging

/// `cdcd flush --close-gap`: the daemon's own event loop, with every gap answered by a flush, until it is ready.
package struct GapClosing: Sendable {
  /// How it ended.
  package enum Outcome: Sendable, Equatable {
    /// Everything up to the WAL's end at the start is out of the cache, and the watermark says so.
    case closed
    /// A server was away, refused, or its slot was in use, for too long: the last reasons.
    case unreachable([String])
  }

  /// A rule whose policy is `halt` and whose keys no pattern covers.
  package struct Unflushable: Error, Sendable, CustomStringConvertible {
    package var rule: String
    package var description: String {
      "The rule \(rule) has no pattern to flush: add pattern: to it, or delete its keys and run cdcd run --accept-gap."
    }
  }

  private let configuration: Configuration
  private let patience: Duration

  /// `patience` is how long a server may be away, or the slot in use, before it gives up.
  package init(_ configuration: Configuration, patience: Duration = .seconds(30)) throws(Unflushable) {
    var configuration = configuration
    for index in configuration.rules.indices {
      guard configuration.rules[index].onGap ?? configuration.onGap == .halt else { continue }
      guard !configuration.rules[index].flushPatterns.isEmpty else {
        throw Unflushable(rule: configuration.rules[index].name)
      }
      configuration.rules[index].onGap = .flush
    }
    self.configuration = configuration
    self.patience = patience
  }

  /// `report` is told, once a second, how far it is. A kill on the way is made up for by the next start, whatever it is:
  /// the watermark names the flush.
  package func run(report: @Sendable (String) -> Void) async throws -> Outcome {
    let board = StatusBoard()
    let logger = Logger(configuration.log).atLeast(.notice)
    let loop = try EventLoop(configuration, board: board, logger: logger)
    async let ended = loop.runOnOwnThread()
    let outcome = await watch(board, report)
    loop.stop()
    _ = try await ended
    return outcome
  }

  private func watch(_ board: StatusBoard, _ report: (String) -> Void) async -> Outcome {
    var goal: LSN?
    var lastReachable = ContinuousClock.now
    // A second try fails as the first did: what was said is not said again, but for what comes in between.
    var lastReports: [String] = []
    while true {
      let status = board.snapshot().status
      let isPublished = !status.notReady.contains { $0.check == "publication" }
      if status.streaming, isPublished, status.targets.allSatisfy(\.connected),
        status.replicas.allSatisfy(\.isReachable)
      {
        lastReachable = .now
        // Everything that may hold a gap lies before the WAL's end of now.
        goal = goal ?? status.serverEnd.beforePageHeader
      } else if status.waitsForTransaction {
        lastReachable = .now
      } else if lastReachable.duration(to: .now) > patience {
        return .unreachable((status.notReady + status.degraded).map(\.message))
      }
      if let goal {
        if case .settled = await board.wait(for: goal, timeout: .seconds(1)) { return .closed }
      } else {
        try? await Task.sleep(for: .milliseconds(100))
      }
      let line = Self.progress(board.snapshot().status)
      if !lastReports.contains(line) {
        report(line)
        lastReports = lastReports.suffix(3) + [line]
      }
    }
  }

  private static func progress(_ status: EngineStatus) -> String {
    if status.streaming, let problem = status.degraded.first { return "waiting for \(problem.message)" }
    guard let flush = status.openFlushes.first else {
      return status.notReady.first?.message ?? "at \(status.settled)"
    }
    if let waitsFor = flush.waitsFor { return "waiting for \(waitsFor)" }
    return
      "flushing (\(flush.phase)): \(flush.scannedKeys) keys found, \(flush.deletedKeys) keys and leases deleted"
  }
}
