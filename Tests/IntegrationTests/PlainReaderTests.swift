import Foundation
import Testing

extension RealServers {
  /// `redelete_after`: for readers that fill the cache by a plain SET, which no daemon can refuse (contract 2).
  @Suite struct PlainReaders {
    private static let rules = #"""
          - table: public.users
            keys: ["user:{id}"]
            redelete_after: 2s
          - table: public.orders
            keys: ["order:{id}"]
      """#

    private func makeInstallation() throws -> Installation {
      var options = Installation.Options()
      options.rules = Self.rules
      let installation = try Installation(options)
      try installation.postgres.query(
        "INSERT INTO users VALUES (1, NULL, 'old'); INSERT INTO orders VALUES (1)")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "old")
      return installation
    }

    /// The first delete has run, and a reader that had read before writes what it read.
    private func race(_ installation: Installation) throws -> String {
      try installation.postgres.query("UPDATE users SET name = 'new' WHERE id = 1")
      let position = try installation.postgres.insertPosition()
      try installation.expectGone("user:1", within: .milliseconds(1_500))
      try installation.redis.client()("SET", "user:1", "old")
      return position
    }

    @Test(
      "what a plain SET put back goes with the second delete; the settled position waits for it, others do not"
    )
    func secondDelete() throws {
      let installation = try makeInstallation()
      let redis = try installation.redis.client()
      let position = try race(installation)
      try eventually(within: .milliseconds(1_500), "the second delete is told to wait") {
        try installation.cdcd.metric("cdcd_second_deletes_pending") == 1
      }
      #expect(try redis.exists("user:1"))
      try redis("SET", "order:1", "old")
      try installation.postgres.query("UPDATE orders SET total = 1 WHERE id = 1")
      try installation.expectGone("order:1", within: .milliseconds(1_000))
      #expect(try installation.cdcd.settles(position))
      #expect(try !redis.exists("user:1"))
      #expect(try installation.cdcd.metric("cdcd_second_deletes_pending") == 0)
    }

    @Test("kill -9 before the second delete: the next cdcd makes it")
    func killedBefore() throws {
      let installation = try makeInstallation()
      let position = try race(installation)
      let first = try installation.cdcd.process
      first.signal(SIGKILL)
      _ = try first.waitForExit()
      try installation.startCDCD().waitUntilReady()
      try installation.redis.client()("SET", "user:1", "old")
      #expect(try installation.cdcd.settles(position))
      #expect(try !installation.redis.client().exists("user:1"))
    }

    @Test("SIGTERM before the second delete: the settled position stays before it")
    func stoppedBefore() throws {
      let installation = try makeInstallation()
      let position = try race(installation)
      let first = try installation.cdcd.process
      first.signal(SIGTERM)
      #expect(try first.waitForExit() == 0)
      #expect(try installation.redis.client().exists("user:1"))
      try installation.startCDCD().waitUntilReady()
      #expect(try installation.cdcd.settles(position))
      #expect(try !installation.redis.client().exists("user:1"))
    }
  }
}
