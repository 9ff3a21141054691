import Foundation
import Invalidation
import Testing

@testable import Daemon

/// Clients that are slow, stuck, careless or hostile.
@Suite struct HTTPLimitTests {
  // MARK: Requests

  private static func get(_ target: String, _ fields: String...) -> String {
    (["GET \(target) HTTP/1.1", "Host: localhost"] + fields + ["Connection: close", "", ""]).joined(
      separator: "\r\n")
  }

  private static func long(_ count: Int) -> String { String(repeating: "x", count: count) }

  private static let requests: [(String, Int)] = [
    (get("/livez"), 200), (get("/livez?a=%00&b"), 200),
    ("GET /livez HTTP/1.0\r\nConnection: close\r\n\r\n", 200),
    (get("http://localhost/livez"), 200),
    ("HEAD /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200),
    (get("/livez/"), 404), (get("//livez"), 404), (get("/%6Civez"), 404), (get("/../livez"), 404),
    (get("/livez%00"), 404), ("OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404),
    ("DELETE /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405),
    ("HELO localhost\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}\r\n\r\n", 400),
    ("GET /livez HTTP/9.9\r\n\r\n", 400),
    ("GET /livez\r\n\r\n", 400), (get("/liv ez"), 400), (get("/livez", "Na me: x"), 400),
    // What two servers in a row could take for different requests.
    (get("/livez", "Content-Length: 5", "Content-Length: 6"), 400),
    (get("/livez", "Content-Length: -1"), 400),
    (get("/livez", "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    (get("/livez", "Content-Length : 0"), 400),
    (get("/livez", "Transfer-Encoding: chunked, identity"), 400), (get("/livez", " folded: x"), 400),
    (get("/" + long(20_000)), 431),
    (get("/livez", "X: " + long(9_000)), 431),
    (get("/livez", String(repeating: "X: y\r\n", count: 101) + "Z: z"), 431),
  ]

  @Test(arguments: requests)
  func everyRequestIsAnswered(request: String, status: Int) async throws {
    try await withServer { _, client in
      let answer = try await RawConnection.answer(from: client.address, to: request)
      #expect(answer.hasPrefix("HTTP/1.1 \(status) ") || answer.hasPrefix("HTTP/1.0 \(status) "), "\(answer)")
      let body = answer.components(separatedBy: "\r\n\r\n").dropFirst().joined()
      #expect(body.isEmpty == request.hasPrefix("HEAD"), "\(answer)")
    }
  }

  @Test func aConnectionServesManyRequests() async throws {
    try await withServer { _, client in
      let connection = try RawConnection(to: client.address)
      for _ in 0..<3 {
        connection.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        let answer = try await connection.receive { $0.hasSuffix("alive\n") }
        #expect(answer.contains(" 200 OK"))
      }
      // Sent together, answered in their order; what cannot be read ends it.
      connection.send(
        "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /x HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n"
      )
      let answers = try await connection.receive().components(separatedBy: "HTTP/1.1 ").dropFirst().map {
        $0.prefix(3)
      }
      #expect(
        answers.prefix(2) == ["200", "404"] || answers == ["200", "400"] || answers == ["400"], "\(answers)")
    }
  }

  // MARK: Time

  /// Short enough for a test, long enough for a busy machine to answer in.
  private static var shortly: ConnectionLimits {
    var limits = ConnectionLimits()
    limits.idle = .milliseconds(500)
    limits.body = .milliseconds(500)
    limits.unread = .milliseconds(500)
    limits.farewell = .milliseconds(500)
    return limits
  }

  /// Sends a byte again and again until the server has closed the connection.
  private func trickle(_ byte: String, into connection: RawConnection) async throws {
    try await poll {
      try await Task.sleep(for: .milliseconds(50))
      return !connection.send(byte)
    }
  }

  @Test func aHeadHasToBeCompleteInTime() async throws {
    try await withServer(limits: Self.shortly) { _, client in
      let silent = try RawConnection(to: client.address)
      let slow = try RawConnection(to: client.address)
      slow.send("GET /livez HTTP/1.1\r\nX: ")
      try await trickle("x", into: slow)
      #expect(try await silent.receive() == "")
      #expect(try await client.get("/livez").status == 200)
    }
  }

  @Test func aBodyHasToBeCompleteInTime() async throws {
    try await withServer(limits: Self.shortly) { _, client in
      let slow = try RawConnection(to: client.address)
      slow.send("POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n")
      try await trickle("x", into: slow)
      #expect(try await client.get("/livez").status == 200)
    }
  }

  /// Answers are not made before there is room for them, and not kept for long.
  @Test func whoDoesNotReadIsCutOff() async throws {
    var limits = Self.shortly
    limits.pipelined = .max
    try await withServer(limits: limits) { board, client in
      board.publish(settledStatus(1))
      let stuck = try RawConnection(to: client.address, receiveBuffer: 4_096)
      let requests = String(repeating: "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", count: 1_000)
      let wasTaken = try await onThread { (0..<1_000).allSatisfy { _ in stuck.send(requests) } }
      #expect(!wasTaken)
      let answers = try await stuck.receive()
      #expect(answers.components(separatedBy: "HTTP/1.1 200").count < 100_000)
      #expect(try await client.get("/livez").status == 200)
    }
  }

  /// Thousands of requests fit into one read, and each answer into memory.
  @Test func whoPipelinesTooManyRequestsIsCutOff() async throws {
    try await withServer { _, client in
      for (count, isServed) in [(32, true), (3_000, false)] {
        let connection = try RawConnection(to: client.address)
        connection.send(String(repeating: "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", count: count))
        let answers =
          try await connection.receive { text in
            text.components(separatedBy: "</html>").count > count
          }.components(separatedBy: "HTTP/1.1 200").count - 1
        #expect(isServed ? answers == count : answers <= 32, "\(answers)")
      }
    }
  }

  // MARK: Many connections

  @Test func idleConnectionsGiveWayToNewOnes() async throws {
    try await withServer(capacity: 20) { _, client in
      func ask(_ connection: RawConnection) async throws {
        connection.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        #expect(try await connection.receive { $0.hasSuffix("alive\n") }.contains(" 200 OK"))
      }
      let idle = try (0..<20).map { _ in try RawConnection(to: client.address) }
      // The first of them asks once more, so that the second is the one that has been idle for the longest.
      for connection in idle + [idle[0]] { try await ask(connection) }
      #expect(try await client.get("/livez").status == 200)
      #expect(try await idle[1].receive() == "")
      try await ask(idle[0])
    }
  }

  @Test func whereAllAreWaitedForTheNextIsTold() async throws {
    try await withServer(capacity: 3) { board, client in
      board.publish(settledStatus(1))
      var waiting: [RawConnection] = []
      for _ in 0..<3 {
        let connection = try RawConnection(to: client.address)
        waiting.append(connection)
        connection.send("GET /wait?lsn=0/16B3748&timeout=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try await poll { !board.takeAwaited().isEmpty }
      }
      let answer = try await RawConnection.answer(from: client.address, to: Self.get("/livez"))
      #expect(answer.hasPrefix("HTTP/1.1 503 "), "\(answer)")
      #expect(answer.contains("too many connections are being answered; try again later"))
      board.publish(settledStatus(0x16B_3800))
      for connection in waiting {
        let answer = try await connection.receive { $0.contains("settled") }
        #expect(answer.contains(" 200 OK"))
      }
      #expect(try await client.get("/livez").status == 200)
    }
  }
}
