import CacheAside
import Foundation
import Synchronization
import Testing

extension RealServers {
  /// The readers' library against a real Redis. What cdcd does to its leases is in `ReadersAndDaemonTests`.
  @Suite struct LeasedCacheOnRedis {
    private let folder: TemporaryFolder
    private let redis: RedisServer

    init() throws {
      folder = try TemporaryFolder()
      redis = try RedisServer(in: folder)
      try redis.start()
    }

    private func client(_ change: (inout RedisConfiguration) -> Void = { _ in }) -> CacheAside.RedisClient {
      var configuration = RedisConfiguration(.tcp(host: "localhost", port: redis.port))
      change(&configuration)
      return CacheAside.RedisClient(configuration)
    }

    @Test("of 200 readers that miss at once one loads, and all get what it loaded")
    func stampede() async throws {
      var settings = CacheSettings()
      settings.waitLimit = .seconds(60)
      let cache = LeasedCache(client(), settings: settings)
      let loads = LoadCount()
      let values = try await withThrowingTaskGroup(of: String?.self) { group in
        for _ in 0..<200 {
          group.addTask {
            try await cache.value(for: "user:1", ttl: .seconds(60), coding: .utf8) {
              let number = loads.next()
              try await Task.sleep(for: .milliseconds(100))
              return "load \(number)"
            }
          }
        }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(loads.next() == 2)
      #expect(values == Array(repeating: "load 1", count: 200))
      let counts = cache.counts
      #expect(counts.fills == 1 && counts.hits == 199 && counts.uncached == 0 && counts.errors == 0)
      #expect(counts.waits > 0 && counts.waits <= 199)
    }

    @Test("a reader whose lease was deleted or has run out is refused, and changes nothing")
    func refusedFill() async throws {
      var settings = CacheSettings()
      settings.leaseTime = .milliseconds(20)
      let cache = LeasedCache(client(), settings: settings)
      let observer = try redis.client()
      let value = try await cache.value(for: "a{1}", ttl: .seconds(60), coding: .utf8) {
        let deleted = try observer("UNLINK", "cdcd:l:a{1}")
        #expect(deleted == .integer(1))
        return "old"
      }
      #expect(value == "old" && cache.counts.refusedFills == 1)
      _ = try await cache.value(for: "b", ttl: .seconds(60)) {
        try eventually("the lease has run out") { try !observer.exists("cdcd:l:{b}") }
        return [1]
      }
      #expect(cache.counts.refusedFills == 2 && cache.counts.errors == 0)
      #expect(try !observer.exists("a{1}") && !observer.exists("b"))
    }

    @Test("the lease of a dead reader delays others until the wait limit, and they load without filling")
    func deadHolder() async throws {
      var settings = CacheSettings()
      settings.waitLimit = .milliseconds(300)
      let waits = Mutex<[Duration]>([])
      let cache = LeasedCache(client(), settings: settings) { event in
        if case .waited(let time) = event { waits.withLock { $0.append(time) } }
      }
      let observer = try redis.client()
      #expect(try Lease.get("user:1", token: "of a process that was killed", from: observer) == .granted)
      #expect(try await cache.value(for: "user:1", ttl: .seconds(60)) { [7] } == [7])
      let waited = waits.withLock { $0 }
      #expect(waited.count == 1 && waited[0] >= .milliseconds(300) && waited[0] < .seconds(3), "\(waited)")
      #expect(cache.counts.uncached == 1 && cache.counts.errors == 0 && cache.counts.fills == 0)
      #expect(try !observer.exists("user:1"))
      #expect(try observer.get("cdcd:l:{user:1}") == "of a process that was killed")
    }

    @Test("a reader whose load fails leaves no lease behind")
    func failedLoad() async throws {
      struct DatabaseAway: Error {}
      let cache = LeasedCache(client())
      let observer = try redis.client()
      await #expect(throws: DatabaseAway.self) {
        try await cache.value(for: "user:1", ttl: .seconds(60)) {
          #expect(try observer.exists("cdcd:l:{user:1}"))
          throw DatabaseAway()
        }
      }
      #expect(try !observer.exists("cdcd:l:{user:1}") && !observer.exists("user:1"))
    }

    @Test("absent rows are cached, and a hit on one loads nothing")
    func absentRows() async throws {
      let cache = LeasedCache(client())
      #expect(try await cache.value(for: "user:404", ttl: .seconds(60)) { nil } == nil)
      #expect(try redis.client().get("user:404") == "cdcd:absent")
      let again = try await cache.value(for: "user:404", ttl: .seconds(60)) {
        Issue.record("loaded again")
        return [1]
      }
      #expect(again == nil)
      #expect(cache.counts.fills == 1 && cache.counts.hits == 1)
    }

    @Test("the value and its lease live as long as was asked for, and the lease goes with the fill")
    func timesToLive() async throws {
      var settings = CacheSettings()
      settings.leaseTime = .seconds(7)
      let cache = LeasedCache(client(), settings: settings)
      let observer = try redis.client()
      _ = try await cache.value(for: "k", ttl: .milliseconds(45_678)) {
        let lease = try observer("PTTL", "cdcd:l:{k}")
        guard case .integer(let left) = lease else { throw TimedOut(description: "\(lease)") }
        #expect(left > 2_000 && left <= 7_000)
        return [1]
      }
      guard case .integer(let left) = try observer("PTTL", "k") else { throw TimedOut(description: "PTTL") }
      #expect(left > 40_000 && left <= 45_678)
      #expect(try !observer.exists("cdcd:l:{k}"))
    }

    @Test("a value of 1 MiB and keys of any bytes come back as they went")
    func sizesAndBytes() async throws {
      let cache = LeasedCache(client())
      let large = (0..<1_048_576).map { _ in UInt8.random(in: .min ... .max) }
      for _ in 0..<2 {
        #expect(try await cache.value(for: "large", ttl: .seconds(60)) { large } == large)
      }
      let keys: [[UInt8]] = [[], [0], [13, 10], Array("a{\r\n}".utf8), Array(0...255), Array("{}".utf8)]
      for key in keys {
        _ = try await cache.value(for: CacheKey(key), ttl: .seconds(60)) { key + [1] }
        let cached = try await cache.value(for: CacheKey(key), ttl: .seconds(60)) { nil }
        #expect(cached == key + [1])
      }
      #expect(cache.counts.fills == 1 + keys.count && cache.counts.hits == 1 + keys.count)
    }

    @Test("SCRIPT FLUSH between any two calls is not noticed")
    func scriptFlush() async throws {
      let cache = LeasedCache(client())
      let observer = try redis.client()
      for number in 1...3 {
        try observer("SCRIPT", "FLUSH")
        let key = CacheKey("user:\(number)")
        _ = try await cache.value(for: key, ttl: .seconds(60)) {
          try observer("SCRIPT", "FLUSH")
          return [1]
        }
      }
      #expect(cache.counts.fills == 3 && cache.counts.errors == 0)
      let statistics = try #require(try observer("INFO", "commandstats").text)
      #expect(statistics.contains("cmdstat_eval:calls=6,"), "each call sent its text once")
    }

    @Test("a known script is not sent again")
    func knownScript() async throws {
      let cache = LeasedCache(client())
      for number in 1...20 {
        _ = try await cache.value(for: CacheKey("user:\(number)"), ttl: .seconds(60)) { [1] }
      }
      let statistics = try #require(try redis.client()("INFO", "commandstats").text)
      #expect(statistics.contains("cmdstat_evalsha:calls=40,"), "\(statistics)")
      #expect(statistics.contains("cmdstat_eval:calls=2,"), "\(statistics)")
    }
  }
}

private final class LoadCount: Sendable {
  private let count = Atomic(0)

  /// The first is 1.
  func next() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
}
