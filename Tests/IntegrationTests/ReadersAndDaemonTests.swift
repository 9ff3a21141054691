import CacheAside
import Foundation
import Testing

extension RealServers {
  /// The readers' library and cdcd on the same Redis: what the lease protocol is for.
  @Suite struct ReadersAndDaemon {
    private let installation: Installation
    private let cache: LeasedCache

    init() throws {
      installation = try Installation()
      let endpoint = RedisConfiguration.Endpoint.tcp(host: "127.0.0.1", port: installation.redis.port)
      cache = LeasedCache(CacheAside.RedisClient(RedisConfiguration(endpoint)))
    }

    private func value(_ key: CacheKey, _ sql: String) async throws -> String? {
      try await cache.value(for: key, ttl: .seconds(60), coding: .utf8) {
        try installation.postgres.query(sql).first?[0]
      }
    }

    @Test("a miss fills, and once a commit is settled the next read is fresh; so for an absent row")
    func freshAfterWait() async throws {
      let sql = "SELECT name FROM users WHERE id = 1"
      #expect(try await value("user:1", sql) == nil)
      #expect(try await value("user:1", sql) == nil)
      for change in [
        "INSERT INTO users VALUES (1, 'a@example.org', 'Ada')", "UPDATE users SET name = 'Grace'",
        "DELETE FROM users",
      ] {
        try installation.postgres.query(change)
        try installation.expectSettled()
        let expected = try installation.postgres.query(sql).first?[0]
        for _ in 0..<2 { #expect(try await value("user:1", sql) == expected, "\(change)") }
      }
      #expect(cache.counts.fills == 4 && cache.counts.hits == 4 && cache.counts.errors == 0)
    }

    @Test(
      "a reader that loaded before a change and fills after cdcd's delete is refused, whatever the key",
      arguments: [
        ("user:1", "INSERT INTO users VALUES (1)"),
        ("user:email:a{}b", "INSERT INTO users VALUES (1, 'a{}b')"),
        ("user:email:}{b", "INSERT INTO users VALUES (1, '}{b')"),
        ("user:email:{{x}y}", "INSERT INTO users VALUES (1, '{{x}y}')"),
        ("user:email:größe\r\n *", "INSERT INTO users VALUES (1, E'größe\\r\\n *')"),
        ("order:{7}:item:1", "INSERT INTO order_items VALUES (7, 1, 'a', 1)"),
        ("Item:1:{x} *", #"INSERT INTO "Shop"."Line ""Items""" VALUES (1, '2', '{x} *')"#),
      ])
    func loserIsRefused(_ key: String, _ change: String) async throws {
      let redis = try installation.redis.client()
      try installation.expectSettled()
      let old = try await cache.value(for: CacheKey(key), ttl: .seconds(60), coding: .utf8) {
        #expect(try redis.exists(Lease.key(for: key)), "the lease is held")
        try installation.postgres.query(change)
        try installation.expectSettled()
        #expect(try !redis.exists(Lease.key(for: key)), "cdcd has deleted the lease")
        return "from before the change"
      }
      #expect(old == "from before the change")
      #expect(cache.counts.refusedFills == 1 && cache.counts.fills == 0)
      #expect(try !redis.exists(key))
      let new = try await cache.value(for: CacheKey(key), ttl: .seconds(60), coding: .utf8) { "fresh" }
      #expect(new == "fresh")
      #expect(try redis.get(key) == "fresh")
    }
  }
}
