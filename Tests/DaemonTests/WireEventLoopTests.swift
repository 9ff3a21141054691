import Foundation
import Glibc
import Invalidation
import Logging
import PostgresSource
import RedisSink
import Synchronization
import Testing

@testable import Daemon

@Suite struct WireEventLoopTests {
  @Test(.timeLimit(.minutes(1))) func theLoopSurvivesAbsentServersAndStops() async throws {
    let log = RecordingLog()
    let loop = EventLoop(
      engine: EngineConfiguration(rules: [], slot: "cdcd", runIdentifier: "test"),
      source: PostgresSourceConfiguration(
        connection: "host=127.0.0.1 port=1 user=u password=geheim dbname=d", slot: "cdcd",
        publication: "cdcd"),
      targets: [RedisAddress(endpoint: .tcp(host: "127.0.0.1", port: 1), password: "geheim")],
      board: StatusBoard(), logger: Logger(label: "test") { _ in log })
    async let outcome = loop.runOnOwnThread()
    let end = Date().addingTimeInterval(20)
    while log.lines.count < 2, Date() < end { try await Task.sleep(for: .milliseconds(10)) }
    loop.stop()
    #expect(try await outcome == .finished)
    #expect(log.lines.count >= 2)
    #expect(log.lines.allSatisfy { !$0.contains("geheim") })
  }

  @Test func aWakeupIsSeenOnceAndFromAnyThread() async {
    let wakeup = Wakeup()
    var polled = PollSet(places: 1)
    polled.set(0, wakeup.fileDescriptor, Int16(POLLIN))
    polled.wait(timeout: 0)
    #expect(!polled.isReady(0))
    await Task.detached { for _ in 0..<1_000 { wakeup.signal() } }.value
    polled.wait(timeout: 0)
    #expect(polled.isReady(0))
    wakeup.clear()
    polled.wait(timeout: 0)
    #expect(!polled.isReady(0))
    #expect(!wakeup.isStopRequested)
    wakeup.requestStop()
    #expect(wakeup.isStopRequested)
  }

  @Test func aPlaceWithoutEventsIsPassedOver() {
    let wakeup = Wakeup()
    wakeup.signal()
    var polled = PollSet(places: 2)
    polled.set(0, wakeup.fileDescriptor, 0)
    polled.set(1, wakeup.fileDescriptor, Int16(POLLIN))
    polled.wait(timeout: 1_000_000_000)
    #expect(!polled.isReady(0))
    #expect(polled.isReadable(1))
  }

  @Test func aGulpPausesWhereMuchArrivesWithinAMillisecond() {
    var gulp = Gulp(over: .network)
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 1_000_000)
    #expect(!gulp.isHolding)
    // Later, and alone.
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 2_500_000)
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 4_000_000)
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 4_200_000)
    #expect(!gulp.isHolding)
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 4_500_000)
    #expect(gulp.end == 5_500_000)
    #expect(!gulp.isOver(at: 5_499_999) && gulp.isOver(at: 5_500_000))
    gulp.release()
    #expect(!gulp.isHolding)
    gulp.read(.init(bytes: 5_000, messages: 50, exhausted: true), isBehind: true, now: 5_600_000)
    #expect(!gulp.isHolding)
  }

  @Test func aGulpOfAUnixSocketIsShorter() {
    var gulp = Gulp(over: .unixSocket)
    gulp.read(.init(bytes: 1_000, messages: 10, exhausted: true), isBehind: true, now: 1_000_000)
    gulp.read(.init(bytes: 1_500, messages: 15, exhausted: true), isBehind: true, now: 1_200_000)
    #expect(!gulp.isHolding)
    gulp.read(.init(bytes: 1_000, messages: 10, exhausted: true), isBehind: true, now: 1_240_000)
    #expect(gulp.end == 1_490_000)
  }

  @Test func whatFillsTheNarrowWindowIsFollowedByMore() {
    var gulp = Gulp(over: .near)
    gulp.read(.init(bytes: 60_000, messages: 600, exhausted: true), isBehind: true, now: 10_000_000)
    #expect(!gulp.isHolding)
    // A round trip later.
    gulp.read(.init(bytes: 8_000, messages: 80, exhausted: true), isBehind: true, now: 10_080_000)
    #expect(gulp.end == 14_080_000)
  }

  @Test func aLoneChangeLongAfterAFloodIsNotHeld() {
    var gulp = Gulp(over: .near)
    gulp.read(.init(bytes: 60_000, messages: 600, exhausted: true), isBehind: true, now: 10_000_000)
    gulp.read(.init(bytes: 200, messages: 4, exhausted: true), isBehind: false, now: 1_010_000_000)
    #expect(!gulp.isHolding)
  }

  @Test func onLoopbackPausesGrowWhileTheFloodLasts() {
    var gulp = Gulp(over: .near)
    var now: Int64 = 10_000_000
    var pauses: [Int64] = []
    for _ in 0..<5 {
      gulp.read(.init(bytes: 190_000, messages: 1_900, exhausted: false), isBehind: true, now: now)
      gulp.read(.init(bytes: 10_000, messages: 100, exhausted: true), isBehind: true, now: now)
      pauses.append((gulp.end ?? now) - now)
      now += pauses.last ?? 0
      gulp.release()
    }
    #expect(pauses == [4_000_000, 8_000_000, 16_000_000, 16_000_000, 16_000_000])
    gulp.read(.init(bytes: 1_000, messages: 10, exhausted: true), isBehind: true, now: now + 20_000_000)
    #expect(!gulp.isHolding)
    gulp.read(.init(bytes: 10_000, messages: 1_000, exhausted: true), isBehind: true, now: now + 20_100_000)
    #expect(gulp.end == now + 24_100_000)
  }

  @Test func whatFillsTheServersBufferHalvesThePause() {
    var gulp = Gulp(over: .near)
    var now: Int64 = 10_000_000
    var pauses: [Int64] = []
    for bytes in [200_000, 200_000, 200_000, 800_000, 800_000, 800_000, 200_000] {
      gulp.read(.init(bytes: bytes, messages: 2_000, exhausted: false), isBehind: true, now: now)
      gulp.read(.init(bytes: 100, messages: 1, exhausted: true), isBehind: true, now: now)
      pauses.append((gulp.end ?? now) - now)
      now += pauses.last ?? 0
      gulp.release()
    }
    #expect(pauses.map { $0 / 1_000_000 } == [4, 8, 16, 16, 8, 4, 4])
  }

  @Test func pausesStayShortWhileNobodyIsBehind() {
    var gulp = Gulp(over: .near)
    var now: Int64 = 10_000_000
    for isBehind in [true, true, false, false, false] {
      gulp.read(.init(bytes: 50_000, messages: 2_000, exhausted: false), isBehind: isBehind, now: now)
      gulp.read(.init(bytes: 100, messages: 1, exhausted: true), isBehind: isBehind, now: now)
      now = gulp.end ?? now
      gulp.release()
    }
    #expect(now == 10_000_000 + (4 + 8 + 16 + 8 + 4) * 1_000_000)
  }

  @Test func manyLargeMessagesAreReadWithoutAPause() {
    var gulp = Gulp(over: .near)
    gulp.read(.init(bytes: 2_400_000, messages: 400, exhausted: false), isBehind: true, now: 10_000_000)
    gulp.read(.init(bytes: 6_000, messages: 1, exhausted: true), isBehind: true, now: 10_000_000)
    #expect(!gulp.isHolding)
  }

  @Test func aFewLargeMessagesAreNoFlood() {
    var gulp = Gulp(over: .near)
    gulp.read(.init(bytes: 2_000_000, messages: 200, exhausted: false), isBehind: true, now: 10_000_000)
    gulp.read(.init(bytes: 10_000, messages: 1, exhausted: true), isBehind: true, now: 10_000_000)
    #expect(!gulp.isHolding)
  }

  @Test func aGulpGoesOnReadingUntilNothingIsLeft() {
    var gulp = Gulp(over: .network)
    gulp.read(.init(bytes: 1_000_000, messages: 10_000, exhausted: false), isBehind: true, now: 1_000_000)
    #expect(!gulp.isHolding)
    gulp.read(.init(bytes: 1, messages: 1, exhausted: true), isBehind: true, now: 1_000_100)
    #expect(gulp.end == 2_000_100)
  }
}

/// Keeps what is logged, as text.
private final class RecordingLog: LogHandler {
  private let text = Mutex<[String]>([])
  var lines: [String] { text.withLock { $0 } }
  var logLevel: Logger.Level {
    get { .trace }
    set {}
  }
  var metadata: Logger.Metadata {
    get { [:] }
    set {}
  }
  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { nil }
    set {}
  }

  func log(event: LogEvent) {
    let metadata = (event.metadata ?? [:]).map { $0.key + "=" + $0.value.description }.sorted()
    text.withLock { $0.append(([event.message.description] + metadata).joined(separator: " ")) }
  }
}
