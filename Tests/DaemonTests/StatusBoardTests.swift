import Invalidation
import Synchronization
import Testing

@testable import Daemon

/// A status that can prove everything up to `settled`.
func settledStatus(_ settled: UInt64) -> EngineStatus {
  var status = EngineStatus()
  status.sourceConnected = true
  status.streaming = true
  status.settled = LSN(settled)
  status.serverEnd = LSN(settled)
  return status
}

extension StatusBoard {
  func publish(_ status: EngineStatus, seconds: Int64 = 1) {
    publish(status, Statistics(), at: Moment(monotonic: seconds * 1_000_000_000, wall: seconds * 1_000_000))
  }

  /// Returns once somebody waits.
  func untilSomebodyWaits() async throws {
    try await poll { self.hasWaiters }
  }
}

/// Returns when the condition holds; fails the test when it does not within ten seconds.
func poll(_ condition: @Sendable () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(10)
  while try await !condition() {
    guard ContinuousClock.now < deadline else {
      Issue.record("the condition did not come to hold within 10 s")
      return
    }
    try await Task.sleep(for: .milliseconds(2))
  }
}

@Suite struct StatusBoardTests {
  @Test func nothingPublishedIsNotReady() {
    let snapshot = StatusBoard().snapshot()
    #expect(!snapshot.hasReported)
    #expect(snapshot.obstacles.map(\.check) == ["loop"])
  }

  @Test func aSilentEventLoopIsStalledAndNotReady() throws {
    let board = StatusBoard()
    board.publish(settledStatus(1))
    var snapshot = board.snapshot()
    #expect(snapshot.stall == nil)
    #expect(snapshot.obstacles.isEmpty)
    snapshot.published -= .seconds(6)
    #expect(snapshot.stall == "the event loop has not reported for 6 seconds")
    #expect(snapshot.obstacles.map(\.check) == ["loop"])
  }

  @Test func aSettledPositionNeedsNoWait() async {
    let board = StatusBoard()
    board.publish(settledStatus(100))
    #expect(await board.wait(for: LSN(100), timeout: .zero) == .settled(LSN(100)))
    #expect(board.takeAwaited().isEmpty)
  }

  @Test func publicationEndsTheWaitsItSatisfies() async throws {
    let board = StatusBoard()
    board.publish(settledStatus(100))
    async let first = board.wait(for: LSN(150), timeout: .seconds(60))
    async let second = board.wait(for: LSN(200), timeout: .seconds(60))
    try await poll { board.waiterCount == 2 }
    board.publish(settledStatus(199))
    #expect(await first == .settled(LSN(199)))
    #expect(board.hasWaiters)
    board.publish(settledStatus(200))
    #expect(await second == .settled(LSN(200)))
    #expect(!board.hasWaiters)
  }

  @Test func aWaitTimesOut() async {
    let board = StatusBoard()
    board.publish(settledStatus(100))
    #expect(await board.wait(for: LSN(101), timeout: .milliseconds(5)) == .timedOut)
    #expect(!board.hasWaiters)
  }

  @Test func aCancelledTaskLeavesTheQueue() async throws {
    let board = StatusBoard()
    let task = Task { await board.wait(for: LSN(1), timeout: .seconds(60)) }
    try await board.untilSomebodyWaits()
    task.cancel()
    #expect(await task.value == .cancelled)
    #expect(!board.hasWaiters)
  }

  @Test func aTaskThatWasCancelledBeforeNeverEnters() async {
    let board = StatusBoard()
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      return await board.wait(for: LSN(1), timeout: .seconds(60))
    }
    task.cancel()
    #expect(await task.value == .cancelled)
    #expect(!board.hasWaiters)
  }

  @Test func closingEndsEveryWait() async throws {
    let board = StatusBoard()
    async let outcome = board.wait(for: LSN(1), timeout: .seconds(60))
    try await board.untilSomebodyWaits()
    board.close()
    #expect(await outcome == .stopping)
    #expect(await board.wait(for: LSN(1), timeout: .seconds(60)) == .stopping)
  }

  @Test(arguments: ["source", "redis", "watermark", "gap"])
  func anUnprovenPositionIsNotClaimed(check: String) async throws {
    let board = StatusBoard()
    var status = settledStatus(100)
    status.notReady = [.init(check: check, message: "for a test")]
    board.publish(status)
    async let outcome = board.wait(for: LSN(50), timeout: .seconds(60))
    try await board.untilSomebodyWaits()
    status.notReady = []
    board.publish(status)
    #expect(await outcome == .settled(LSN(100)))
  }

  @Test func anOpenFlushHoldsWaitsBack() async throws {
    let board = StatusBoard()
    var status = settledStatus(100)
    status.openFlushes = [
      .init(rule: "users", reason: .newSlot, phase: "values", scannedKeys: 1, deletedKeys: 1)
    ]
    board.publish(status)
    async let outcome = board.wait(for: LSN(50), timeout: .seconds(60))
    try await board.untilSomebodyWaits()
    status.openFlushes = []
    board.publish(status)
    #expect(await outcome == .settled(LSN(100)))
  }

  @Test(arguments: ["rules", "barrier"])
  func whatIsSettledStaysSettled(check: String) async {
    let board = StatusBoard()
    var status = settledStatus(100)
    status.notReady = [.init(check: check, message: "for a test")]
    board.publish(status)
    #expect(await board.wait(for: LSN(100), timeout: .zero) == .settled(LSN(100)))
  }

  @Test func theEventLoopIsWokenOnceForSeveralPositions() async throws {
    let board = StatusBoard()
    let wakes = Mutex(0)
    board.onAwait { wakes.withLock { $0 += 1 } }
    async let first = board.wait(for: LSN(7), timeout: .seconds(60))
    async let second = board.wait(for: LSN(9), timeout: .seconds(60))
    try await poll { board.waiterCount == 2 }
    #expect(wakes.withLock { $0 } == 1)
    #expect(board.takeAwaited().sorted() == [LSN(7), LSN(9)])
    #expect(board.takeAwaited().isEmpty)
    board.close()
    _ = await (first, second)
  }

  @Test func aWaitThatCameBeforeTheEventLoopWakesIt() async throws {
    let board = StatusBoard()
    async let first = board.wait(for: LSN(7), timeout: .seconds(60))
    async let second = board.wait(for: LSN(8), timeout: .seconds(60))
    try await poll { board.waiterCount == 2 }
    let wakes = Mutex(0)
    board.onAwait { wakes.withLock { $0 += 1 } }
    #expect(wakes.withLock { $0 } == 1)
    #expect(board.takeAwaited().sorted() == [LSN(7), LSN(8)])
    async let third = board.wait(for: LSN(9), timeout: .seconds(60))
    try await poll { board.waiterCount == 3 }
    #expect(wakes.withLock { $0 } == 2)
    #expect(board.takeAwaited() == [LSN(9)])
    board.close()
    _ = await (first, second, third)
  }

  @Test func noWaitWakesNobody() {
    let board = StatusBoard()
    let wakes = Mutex(0)
    board.onAwait { wakes.withLock { $0 += 1 } }
    #expect(wakes.withLock { $0 } == 0)
  }

  @Test func theQueueIsBounded() async throws {
    let board = StatusBoard()
    let limit = StatusBoard.maximumWaiters
    await withTaskGroup(of: WaitOutcome.self) { group in
      for index in 0..<(limit + 10) {
        group.addTask { await board.wait(for: LSN(UInt64(1 + index % 97)), timeout: .seconds(60)) }
      }
      var refused = 0
      for _ in 0..<10 where await group.next() == .tooMany { refused += 1 }
      #expect(refused == 10)
      #expect(board.waiterCount == limit)
      #expect(board.takeAwaited().count == limit)
      board.publish(settledStatus(97))
      for await outcome in group { #expect(outcome == .settled(LSN(97))) }
    }
    #expect(!board.hasWaiters)
  }

  @Test func checksRememberSinceWhen() throws {
    let board = StatusBoard()
    board.publish(settledStatus(1), seconds: 10)
    var status = settledStatus(1)
    status.notReady = [.init(check: "redis", message: "away"), .init(check: "redis", message: "far away")]
    board.publish(status, seconds: 20)
    board.publish(status, seconds: 30)
    let checks = board.snapshot().checks
    let redis = try #require(checks.first { $0.name == "redis" })
    #expect(redis == HealthCheck(name: "redis", problem: "away; far away", since: 20_000_000))
    let source = try #require(checks.first { $0.name == "source" })
    #expect(source == HealthCheck(name: "source", problem: nil, since: 10_000_000))
  }

  @Test func ratesAreOverTheirWindow() throws {
    let board = StatusBoard()
    var statistics = Statistics()
    for tenth in 0..<300 {
      statistics.transactions = UInt64(tenth)
      statistics.keysDeleted = [UInt64(2 * tenth), UInt64(tenth)]
      let now = Moment(monotonic: Int64(tenth) * 100_000_000, wall: 0)
      board.publish(settledStatus(1), statistics, at: now)
    }
    let rates = board.snapshot().rates
    #expect(rates.map(\.window) == [1, 10, 60])
    for rate in rates {
      #expect(abs(rate.transactionsPerSecond - 10) < 1e-9)
      #expect(abs(rate.keysPerSecond - 30) < 1e-9)
    }
  }

  @Test func repeatedNoticesTakeOnePlace() {
    let board = StatusBoard()
    for _ in 0..<3 { board.record(Notice(.warning, "redis_error", "Redis answered LOADING")) }
    board.record(Notice(.info, "connected", "not an error"))
    board.record(Notice(.error, "gap", "a gap", rule: "users"))
    let recent = board.snapshot().recentNotices
    #expect(recent.map(\.notice.cause) == ["redis_error", "gap"])
    #expect(recent.map(\.count) == [3, 1])
  }
}
