import Synchronization
import Testing

@testable import CacheAside

@Suite struct LeasedCacheTests {
  private struct DatabaseAway: Error {}

  /// Nobody gives up because the machine is slow.
  private var patient: CacheSettings {
    var settings = CacheSettings()
    settings.waitLimit = .seconds(60)
    return settings
  }

  private func words(_ command: [[UInt8]]) -> [String] { command.map { String(decoding: $0, as: UTF8.self) } }

  private func counts(_ change: (inout CacheCounts) -> Void) -> CacheCounts {
    var counts = CacheCounts()
    change(&counts)
    return counts
  }

  @Test("a miss sends get, loads, and sends fill with the same token; the next try has another token")
  func fills() async throws {
    let redis = ScriptedRedis(.granted, .integer(1), .granted, .integer(0))
    let cache = LeasedCache(redis)
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { "v" } == "v")
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { "w" } == "w")
    #expect(cache.counts == counts { ($0.fills, $0.refusedFills) = (1, 1) })
    let sent = redis.sent
    try #require(sent.count == 4)
    let token = sent[0][5]
    #expect(token.count == 16 && sent[1][5] == token && sent[2][5] != token)
    let digests = [Script.get.digest, Script.fill.digest]
    #expect([sent[0][1], sent[1][1]] == digests)
    #expect(words(sent[0])[2...4] == ["2", "k", "cdcd:l:{k}"] && words(sent[0])[6] == "10000")
    #expect(words(sent[1])[2...4] == ["2", "k", "cdcd:l:{k}"] && words(sent[1])[6...] == ["v", "5000"])
  }

  @Test("NOSCRIPT is answered with the script's text")
  func noScript() async throws {
    let redis = ScriptedRedis(
      .error("NOSCRIPT No matching script. Please use EVAL."), .granted, .error("NOSCRIPT"), .integer(1))
    let cache = LeasedCache(redis)
    _ = try await cache.value(for: "k", ttl: .seconds(5)) { [1] }
    try #require(redis.sent.map { words($0)[0] } == ["EVALSHA", "EVAL", "EVALSHA", "EVAL"])
    #expect(redis.sent[1][1] == Script.get.text && redis.sent[3][1] == Script.fill.text)
    #expect(redis.sent[0].dropFirst(2) == redis.sent[1].dropFirst(2))
    #expect(cache.counts == counts { $0.fills = 1 })
  }

  @Test(
    "an answer that the protocol does not have is an error; the value is loaded and nothing is filled",
    arguments: [
      RESPReply.error("READONLY You can't write against a read only replica."), .null, .integer(1),
      .bulk([72]),
      .simple("L"), .array([]), .array([.null]), .array([.bulk([72])]), .array([.bulk([88])]),
      .array([.bulk([76]), .bulk([76])]), .array([.bulk([72]), .integer(1)]),
      .array([.bulk([72]), .bulk([1]), .bulk([2])]),
    ])
  func unexpectedGet(_ reply: RESPReply) async throws {
    let redis = ScriptedRedis(reply)
    let errors = Mutex<[LeaseReplyError]>([])
    let cache = LeasedCache(redis) { event in
      if case .failed(let error as LeaseReplyError) = event { errors.withLock { $0.append(error) } }
    }
    #expect(try await cache.value(for: "k", ttl: .seconds(5)) { [7] } == [7])
    #expect(redis.sent.count == 1)
    #expect(cache.counts == counts { ($0.uncached, $0.errors) = (1, 1) })
    let expected: LeaseReplyError =
      if case .error(let message) = reply { .refused(message) } else { .unexpected(call: "get", reply) }
    #expect(errors.withLock { $0 } == [expected])
  }

  @Test("a fill that Redis does not answer costs the caller nothing")
  func failedFill() async throws {
    let cache = LeasedCache(ScriptedRedis(.granted, .error("OOM command not allowed")))
    #expect(try await cache.value(for: "k", ttl: .seconds(5)) { [7] } == [7])
    #expect(cache.counts == counts { $0.errors = 1 })
  }

  @Test("a load that throws gives the lease back, and the caller gets its error")
  func throwingLoad() async throws {
    let redis = ScriptedRedis(.granted, .integer(1))
    let cache = LeasedCache(redis)
    await #expect(throws: DatabaseAway.self) {
      try await cache.value(for: "k", ttl: .seconds(5)) { throw DatabaseAway() }
    }
    try #require(redis.sent.count == 2)
    #expect(words(redis.sent[1])[2...3] == ["1", "cdcd:l:{k}"] && redis.sent[1][4] == redis.sent[0][5])
    #expect(cache.counts == CacheCounts())
  }

  @Test("an absent row is cached as the marker, and the marker is answered as an absent row")
  func absent() async throws {
    var settings = CacheSettings()
    settings.absentMarker = Array("gone".utf8)
    let redis = ScriptedRedis(.granted, .integer(1), .hit("gone"))
    let cache = LeasedCache(redis, settings: settings)
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { nil } == nil)
    try #require(redis.sent.count == 2)
    #expect(words(redis.sent[1])[6] == "gone")
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { "not asked" } == nil)
    #expect(cache.counts == counts { ($0.fills, $0.hits) = (1, 1) })
  }

  @Test("a value that looks like the marker is answered and never stored")
  func markerCollision() async throws {
    let redis = ScriptedRedis(.granted, .integer(1))
    let cache = LeasedCache(redis)
    let value = try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { "cdcd:absent" }
    #expect(value == "cdcd:absent")
    #expect(redis.sent.map { $0[1] } == [Script.get.digest, Script.release.digest])
    #expect(cache.counts == counts { $0.errors = 1 })
  }

  @Test("a value that cannot be encoded is answered; one that cannot be decoded is loaded")
  func coding() async throws {
    struct Unreadable: Error {}
    let broken = ValueCoding<String>(encode: { _ in throw Unreadable() }, decode: { _ in throw Unreadable() })
    let redis = ScriptedRedis(.granted, .integer(1), .hit("of another release"))
    let cache = LeasedCache(redis)
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: broken) { "v" } == "v")
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: broken) { "w" } == "w")
    #expect(redis.sent.map { $0[1] } == [Script.get.digest, Script.release.digest, Script.get.digest])
    #expect(cache.counts == counts { ($0.errors, $0.uncached) = (2, 1) })
  }

  @Test("a reader that waits asks again with another token, and counts as one wait")
  func waits() async throws {
    let redis = ScriptedRedis(.wait, .wait, .hit("v"))
    let cache = LeasedCache(redis, settings: patient)
    #expect(try await cache.value(for: "k", ttl: .seconds(5), coding: .utf8) { "not asked" } == "v")
    #expect(Set(redis.sent.map { $0[5] }).count == 3)
    #expect(cache.counts == counts { ($0.waits, $0.hits) = (1, 1) })
  }

  @Test("without a wait limit nobody waits")
  func noWait() async throws {
    var settings = CacheSettings()
    settings.waitLimit = .zero
    let redis = ScriptedRedis(.wait)
    let cache = LeasedCache(redis, settings: settings)
    #expect(try await cache.value(for: "k", ttl: .seconds(5)) { [1] } == [1])
    #expect(cache.counts == counts { $0.uncached = 1 })
  }

  @Test("a reader that is cancelled while it waits stops waiting and loads nothing")
  func cancelledWaiting() async throws {
    struct Busy: RedisTransport {
      let asked: AsyncStream<Void>.Continuation
      func send(_ command: [[UInt8]]) async throws -> RESPReply {
        asked.yield()
        return .wait
      }
    }
    let (asked, continuation) = AsyncStream.makeStream(of: Void.self)
    let cache = LeasedCache(Busy(asked: continuation), settings: patient)
    let reader = Task { try await cache.value(for: "k", ttl: .seconds(5)) { [1] } }
    for await _ in asked { break }
    reader.cancel()
    await #expect(throws: CancellationError.self) { try await reader.value }
    #expect(cache.counts.uncached == 0)
  }

  @Test("a reader that is cancelled while it loads gives the lease back all the same")
  func cancelledLoading() async throws {
    /// Fails when its task is cancelled, as clients do.
    struct Obedient: RedisTransport {
      let redis: ScriptedRedis
      func send(_ command: [[UInt8]]) async throws -> RESPReply {
        try Task.checkCancellation()
        return try await redis.send(command)
      }
    }
    let redis = ScriptedRedis(.granted, .integer(1))
    let cache = LeasedCache(Obedient(redis: redis))
    let (loading, continuation) = AsyncStream.makeStream(of: Void.self)
    let reader = Task {
      try await cache.value(for: "k", ttl: .seconds(5)) {
        continuation.yield()
        try await Task.sleep(for: .seconds(60))
        return [1]
      }
    }
    for await _ in loading { break }
    reader.cancel()
    await #expect(throws: CancellationError.self) { try await reader.value }
    #expect(redis.sent.map { $0[1] } == [Script.get.digest, Script.release.digest])
  }
}
