import Foundation
import Invalidation
import Testing

extension RealServers {
  /// What cdcd takes for granted of Redis, shown on Redis alone.
  @Suite struct RedisFacts {
    private func makeServer(_ options: String...) throws -> RedisServer {
      let server = try RedisServer(
        in: try TemporaryFolder(), options: ["--save", "", "--appendonly", "no"] + options)
      try server.start()
      return server
    }

    @Test(
      "without memory every command in a MULTI is refused, UNLINK too; a bare one works",
      .disabled(if: RedisServer.isValkey, "Valkey lets what frees memory pass within a MULTI as well"))
    func outOfMemory() throws {
      let server = try makeServer()
      let redis = try server.client()
      try redis("SET", "user:1", "cached")
      try redis("CONFIG", "SET", "maxmemory", "1")
      try redis("MULTI")
      let error = #expect(throws: RedisClient.ServerError.self) { try redis("UNLINK", "user:1") }
      #expect(error?.description.hasPrefix("OOM ") == true)
      #expect(throws: RedisClient.ServerError.self) { try redis("EXEC") }
      #expect(try redis.exists("user:1"))
      #expect(try redis("UNLINK", "user:1") == .integer(1))
    }

    @Test("a lease has the cluster slot of its key, whatever braces the key has")
    func slots() throws {
      let server = try makeServer("--cluster-enabled", "yes")
      let redis = try server.client()
      for key in ["user:1", "order:{7}:items", "{7}", "a{b", "a}b{c}", "odd:{x}{y}"] {
        let lease = Lease.key(for: key)
        #expect(try redis("CLUSTER", "KEYSLOT", key) == redis("CLUSTER", "KEYSLOT", lease), "\(key)")
      }
      // Without a tag, and with a }: such a rule is refused where there is a cluster.
      let odd = "a}b"
      #expect(try redis("CLUSTER", "KEYSLOT", odd) != redis("CLUSTER", "KEYSLOT", Lease.key(for: odd)))
    }

    @Test("`Glob` covers the keys that Redis finds by the same pattern")
    func globs() throws {
      let server = try makeServer()
      let redis = try server.client()
      let alphabet = ["a", "b", "]", "-", "\\", "^", "*"]
      var keys = alphabet
      for length in 2...3 {
        keys += keys.filter { $0.count == length - 1 }.flatMap { key in alphabet.map { key + $0 } }
      }
      try redis.run(["MSET"] + keys.flatMap { [$0, "cached"] })
      let parts = alphabet + ["?", "[", "*", "a-b", "[^"]
      for _ in 0..<500 {
        let pattern = (0..<Int.random(in: 1...6)).map { _ in parts[Int.random(in: parts.indices)] }.joined()
        guard case .array(let found) = try redis("KEYS", pattern) else {
          throw TimedOut(description: pattern)
        }
        let covered = keys.filter { Glob.matches(Array(pattern.utf8), Array($0.utf8)) }
        #expect(Set(found.compactMap(\.text)) == Set(covered), "\(pattern)")
      }
    }

    @Test("a token that a client uses twice lets its older fill pass; a fresh one does not")
    func tokens() throws {
      let server = try makeServer()
      let redis = try server.client()
      for (first, second, passes) in [("client", "client", true), ("one", "two", false)] {
        try redis("FLUSHALL")
        #expect(try Lease.get("user:1", token: first, from: redis) == .granted)
        // What cdcd does for a change; then the same client comes again.
        try redis("UNLINK", Lease.key(for: "user:1"), "user:1")
        #expect(try Lease.get("user:1", token: second, from: redis) == .granted)
        #expect(try Lease.fill("user:1", token: first, value: "old", into: redis) == passes)
      }
    }

    @Test("a restored state of Redis brings leases back: an old token fills once more")
    func resurrectedLease() throws {
      let server = try RedisServer(
        in: try TemporaryFolder(), options: ["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
      try server.start()
      let redis = try server.client()
      #expect(try Lease.get("user:1", token: "reader", from: redis) == .granted)
      try server.copyAppendOnlyFile()
      try redis("UNLINK", Lease.key(for: "user:1"), "user:1")
      #expect(try !Lease.fill("user:1", token: "reader", value: "old", into: redis))
      try server.kill()
      try server.restoreAppendOnlyFile()
      try server.start()
      #expect(try Lease.fill("user:1", token: "reader", value: "old", into: try server.client()))
    }

    @Test("the delete of a key that is there reaches client-side caches; that of one that is not does not")
    func tracking() throws {
      let server = try makeServer()
      let redis = try server.client()
      let listener = try server.client()
      guard case .integer(let identifier) = try listener("CLIENT", "ID") else {
        throw TimedOut(description: "no id")
      }
      try listener("SUBSCRIBE", "__redis__:invalidate")
      let reader = try server.client()
      try reader("CLIENT", "TRACKING", "ON", "REDIRECT", "\(identifier)")
      try reader("GET", "absent")
      #expect(try redis("DEL", "absent") == .integer(0))
      #expect(try listener("PING") == .array([.text("pong"), .text("")]))
      try redis("SET", "present", "cached")
      try reader("GET", "present")
      try redis("DEL", "present")
      #expect(
        try listener("PING")
          == .array([.text("message"), .text("__redis__:invalidate"), .array([.text("present")])]))
    }
  }
}
