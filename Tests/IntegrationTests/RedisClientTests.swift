import CacheAside
import Foundation
import Testing

extension RealServers {
  /// The shipped way to Redis, and what readers notice when Redis is away.
  @Suite struct RedisClientOnServers {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func server(_ options: String...) throws -> RedisServer {
      let server = try RedisServer(in: folder, options: ["--save", "", "--appendonly", "no"] + options)
      try server.start()
      return server
    }

    private func configuration(_ server: RedisServer) -> RedisConfiguration {
      RedisConfiguration(.tcp(host: "127.0.0.1", port: server.port))
    }

    private func words(_ words: String...) -> [[UInt8]] { words.map { Array($0.utf8) } }

    /// Reads until Redis is used again.
    private func eventuallyCached(_ cache: LeasedCache, _ key: CacheKey) async throws {
      let end = ContinuousClock.now + .seconds(20)
      let before = cache.counts
      while cache.counts.fills + cache.counts.hits == before.fills + before.hits {
        guard ContinuousClock.now < end else { throw TimedOut(description: "Redis is not used again") }
        #expect(try await cache.value(for: key, ttl: .seconds(60)) { [1] } == [1])
        try await Task.sleep(for: .milliseconds(10))
      }
    }

    @Test("Redis restarted between two reads is not noticed")
    func restarted() async throws {
      let redis = try server()
      let cache = LeasedCache(CacheAside.RedisClient(configuration(redis)))
      for round in 1...3 {
        #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [UInt8(round)] } == [UInt8(round)])
        try redis.stop()
        try redis.start()
      }
      #expect(cache.counts.fills == 3 && cache.counts.errors == 0, "\(cache.counts)")
    }

    @Test("Redis away: each read loads, and the first reads after its return cache again")
    func away() async throws {
      let redis = try server()
      let cache = LeasedCache(CacheAside.RedisClient(configuration(redis)))
      _ = try await cache.value(for: "k", ttl: .seconds(60)) { [1] }
      try redis.stop()
      let start = ContinuousClock.now
      for _ in 0..<1_000 { #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [1] } == [1]) }
      #expect(.now - start < .seconds(5))
      #expect(cache.counts.uncached == 1_000 && cache.counts.errors == 1_000)
      try redis.start()
      try await eventuallyCached(cache, "k")
    }

    @Test("Redis frozen: reads wait for one command's time and then no more, and recover when it thaws")
    func frozen() async throws {
      let redis = try server()
      let cache = LeasedCache(CacheAside.RedisClient(configuration(redis)))
      _ = try await cache.value(for: "k", ttl: .seconds(60)) { [1] }
      redis.freeze()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 {
          group.addTask {
            let value = try await cache.value(for: "k", ttl: .seconds(60)) { [1] }
            #expect(value == [1])
          }
        }
        try await group.waitForAll()
      }
      #expect(cache.counts.uncached == 50)
      // Long enough for several tries to connect, each of which has the PING's second to itself.
      let end = ContinuousClock.now + .seconds(4)
      while ContinuousClock.now < end {
        let time = try await ContinuousClock().measure {
          let value = try await cache.value(for: "k", ttl: .seconds(60)) { [1] }
          #expect(value == [1])
        }
        #expect(time < .milliseconds(700), "a read waited")
        try await Task.sleep(for: .milliseconds(5))
      }
      redis.thaw()
      try await eventuallyCached(cache, "k")
    }

    @Test("password, user and database are taken; a wrong password is refused, and not told to anybody")
    func authentication() async throws {
      let redis = try server()
      let administrator = try redis.client()
      try administrator("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all")
      try administrator("CONFIG", "SET", "requirepass", "hidden")
      var configuration = configuration(redis)
      configuration.username = "app"
      configuration.password = "secret"
      configuration.database = 3
      let client = CacheAside.RedisClient(configuration)
      #expect(try await client.send(words("ACL", "WHOAMI")) == .bulk(Array("app".utf8)))
      #expect(try await client.send(words("SET", "k", "v")) == .simple("OK"))
      configuration.username = nil
      configuration.password = "hidden"
      configuration.database = 0
      let other = CacheAside.RedisClient(configuration)
      #expect(try await other.send(words("GET", "k")) == .null)
      #expect(try await other.send(words("SELECT", "3")) == .simple("OK"))
      #expect(try await other.send(words("GET", "k")) == .bulk(Array("v".utf8)))
      configuration.password = "wrong"
      let refused = CacheAside.RedisClient(configuration)
      let error = await #expect(throws: RedisClientError.self) { try await refused.send(words("PING")) }
      guard case .refused(let message) = error else { throw TimedOut(description: "\(error as Any)") }
      #expect(message.hasPrefix("WRONGPASS"))
    }

    @Test("a Unix socket works, many commands at once are answered in order, and close is final")
    func unixSocket() async throws {
      let path = folder.file("redis.sock")
      let redis = try server("--unixsocket", path)
      let client = CacheAside.RedisClient(RedisConfiguration(.unix(path: path)))
      try await withThrowingTaskGroup(of: Void.self) { group in
        for number in 0..<500 {
          group.addTask {
            let word = Array("\(number)".utf8)
            let reply = try await client.send([Array("ECHO".utf8), word])
            #expect(reply == .bulk(word))
          }
        }
        try await group.waitForAll()
      }
      let clients = try #require(try redis.client()("CLIENT", "LIST").text)
      #expect(clients.split(separator: "\n").count == 2, "one connection, and this one")
      await client.close()
      await #expect(throws: RedisClientError.closed) { try await client.send(words("PING")) }
      try eventually("the connection is gone") {
        try redis.client()("CLIENT", "LIST").text?.split(separator: "\n").count == 1
      }
    }

    @Test("a client that nobody holds any more closes its connection")
    func deinitialized() async throws {
      let redis = try server()
      var client: CacheAside.RedisClient? = CacheAside.RedisClient(configuration(redis))
      #expect(try await client?.send(words("PING")) == .simple("PONG"))
      client = nil
      try eventually("the connection is gone") {
        try redis.client()("CLIENT", "LIST").text?.split(separator: "\n").count == 1
      }
    }

    @Test("a server that is no Redis: reads load, and the reason is told")
    func noRedis() async throws {
      let postgres = try PostgresServer(in: folder)
      try postgres.start()
      let endpoint = RedisConfiguration.Endpoint.tcp(host: "127.0.0.1", port: postgres.port)
      let cache = LeasedCache(CacheAside.RedisClient(RedisConfiguration(endpoint)))
      #expect(try await cache.value(for: "k", ttl: .seconds(60)) { [1] } == [1])
      #expect(cache.counts.uncached == 1 && cache.counts.errors == 1)
    }
  }
}
