import Foundation
import Invalidation
import NIOCore
import NIOPosix
import Testing

@testable import Daemon

/// Listens to `/events` over a connection of its own.
private struct EventStream {
  typealias Inbound = NIOAsyncChannelInboundStream<ByteBuffer>

  private var inbound: Inbound.AsyncIterator
  private var text = ""

  private init(_ inbound: Inbound) { self.inbound = inbound.makeAsyncIterator() }

  /// Sends the request and hands the answer to the body; closes the connection afterwards.
  static func open<Result: Sendable>(
    port: Int, method: String = "GET", _ body: (inout EventStream) async throws -> Result
  ) async throws -> Result {
    let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
    let channel = try await bootstrap.connect(host: "127.0.0.1", port: port) { channel in
      channel.eventLoop.makeCompletedFuture {
        try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
      }
    }
    return try await channel.executeThenClose { inbound, outbound in
      try await outbound.write(ByteBuffer(string: "\(method) /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
      var stream = EventStream(inbound)
      return try await body(&stream)
    }
  }

  /// Status line and headers.
  mutating func head() async throws -> String { try #require(try await read(upTo: "\r\n\r\n")) }

  /// The next event's JSON; nil when the server has ended the stream.
  mutating func event() async throws -> [String: Any]? {
    while let block = try await read(upTo: "\n\n") {
      guard let start = block.range(of: "data: ") else { continue }
      let data = Data(block[start.upperBound...].utf8)
      return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }
    return nil
  }

  /// Nil when the server ends before.
  mutating func read(upTo end: String) async throws -> String? {
    while true {
      if let range = text.range(of: end) {
        defer { text = String(text[range.upperBound...]) }
        return String(text[..<range.lowerBound])
      }
      // The last chunk of a body has no bytes.
      if text.hasSuffix("\r\n0\r\n\r\n") { return nil }
      guard let buffer = try await inbound.next(isolation: #isolation) else { return nil }
      text += String(buffer: buffer)
    }
  }
}

/// Runs a server whose feed has these limits for the duration of the body.
private func withServer(
  _ limits: EventFeed.Limits, _ body: (StatusBoard, EventFeed, _ port: Int) async throws -> Void
) async throws {
  let board = StatusBoard(maximumSilence: .seconds(3_600))
  let feed = EventFeed(board, DaemonIdentity(version: "1.2.3"), limits: limits)
  let (addresses, listening) = AsyncStream<ListenAddress>.makeStream()
  let server = server(at: .tcp(host: "127.0.0.1", port: 0), board: board, feed: feed) {
    listening.yield($0)
  }
  let running = Task { try await server.run() }
  let feeding = Task { await feed.run() }
  do {
    let address = try #require(await addresses.first { _ in true })
    try await body(board, feed, Client(address: address).port)
  } catch {
    Issue.record(error)
  }
  feeding.cancel()
  await feeding.value
  running.cancel()
  try await running.value
}

@Suite(.timeLimit(.minutes(1))) struct EventsTests {
  /// Long enough for nothing but what is asked for to come.
  private static let never = Duration.seconds(3_600)

  private static func limits(
    interval: Duration = never, clients: Int = 64, missedEvents: Int = 30
  ) -> EventFeed.Limits {
    EventFeed.Limits(interval: interval, clients: clients, missedEvents: missedEvents)
  }

  private static func isReady(_ event: [String: Any]?) -> Bool? {
    (event?["status"] as? [String: Any])?["ready"] as? Bool
  }

  @Test func theFirstEventHasTheStatusAndTheWholeChart() async throws {
    try await withServer(Self.limits()) { board, _, port in
      for second in 0..<100 { board.publish(settledStatus(0x16B_3748), seconds: Int64(second)) }
      try await EventStream.open(port: port) { stream in
        let head = try await stream.head()
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(head.contains("Content-Type: text/event-stream\r\n"))
        #expect(try #require(try await stream.read(upTo: "\n\n")).hasSuffix("retry: 1000"))
        let event = try #require(try await stream.event())
        let status = try #require(event["status"] as? [String: Any])
        #expect((status["positions"] as? [String: String])?["settled"] == "0/16B3748")
        #expect((event["checks"] as? [[String: Any]])?.count == 9)
        #expect(event["since"] as? String == "2000-01-01T00:00:00.000Z")
        let chart = try #require(event["chart"] as? [[String: Any]])
        #expect(chart.count == 49)
        #expect(chart.last?["at"] as? Int == 946_684_898_000)
      }
    }
  }

  @Test func anEventComesAtEveryInterval() async throws {
    try await withServer(Self.limits(interval: .milliseconds(20))) { board, _, port in
      for second in 0..<100 { board.publish(settledStatus(1), seconds: Int64(second)) }
      try await EventStream.open(port: port) { stream in
        _ = try await stream.event()
        for _ in 0..<5 {
          let event = try #require(try await stream.event())
          #expect((event["chart"] as? [[String: Any]])?.count == EventReport.newestPoints)
        }
      }
    }
  }

  @Test func aChangeOfHealthIsToldAtOnce() async throws {
    try await withServer(Self.limits()) { board, _, port in
      board.publish(settledStatus(1))
      try await EventStream.open(port: port) { stream in
        // The event of the first publication may come before or after the opening.
        while Self.isReady(try await stream.event()) != true {}
        var status = settledStatus(1)
        status.notReady = [.init(check: "redis", message: "Redis is away")]
        board.publish(status, seconds: 2)
        var event = try await stream.event()
        while Self.isReady(event) == true { event = try await stream.event() }
        let told = try #require(event?["status"] as? [String: Any])
        #expect((told["not_ready"] as? [[String: String]])?.first?["message"] == "Redis is away")
      }
    }
  }

  @Test func aPlaceIsFreeAgainWhenItsClientLeaves() async throws {
    try await withServer(Self.limits(interval: .milliseconds(20), clients: 1)) { board, feed, port in
      board.publish(settledStatus(1))
      for _ in 0..<3 {
        let head = try await EventStream.open(port: port, method: "HEAD") { try await $0.head() }
        #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
      }
      try await EventStream.open(port: port) { stream in
        _ = try await stream.event()
        let head = try await EventStream.open(port: port) { try await $0.head() }
        #expect(head.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
      }
      try await poll { feed.clientCount == 0 }
      let head = try await EventStream.open(port: port) { try await $0.head() }
      #expect(head.hasPrefix("HTTP/1.1 200 OK\r\n"))
    }
  }

  @Test func aClientThatDoesNotReadIsGivenUpAndOthersNoticeNothing() async throws {
    let limits = Self.limits(interval: .milliseconds(20), missedEvents: 5)
    try await withServer(limits) { board, feed, port in
      var statistics = Statistics()
      // Events of half a MiB fill what lies between the two ends soon.
      statistics.ruleNames = (0..<500).map { "\($0)" + String(repeating: "x", count: 1_000) }
      statistics.keysDeleted = statistics.ruleNames.map { _ in 0 }
      board.publish(settledStatus(1), statistics, at: Moment(monotonic: 1, wall: 1))
      try await EventStream.open(port: port) { reader in
        _ = try await reader.event()
        try await EventStream.open(port: port) { idle in
          _ = try await idle.head()
          try await poll { feed.clientCount == 2 }
          while feed.clientCount == 2 { #expect(Self.isReady(try await reader.event()) == true) }
        }
        #expect(feed.clientCount == 1)
        #expect(Self.isReady(try await reader.event()) == true)
      }
    }
  }
}
