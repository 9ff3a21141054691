import Foundation
import Testing

extension RealServers {
  /// A flush of many keys: its pace, its order, a kill on the way, and what it waits for (contract 4).
  @Suite struct Flushes {
    private static let values = 200_000
    private static let leases = 20_000
    private static let rate = 20_000

    private func populate(_ redis: RedisClient) throws {
      try redis(
        "EVAL",
        """
        for i = 1, tonumber(ARGV[1]) do redis.call('SET', 'user:' .. i, 'cached') end
        for i = 1, tonumber(ARGV[2]) do redis.call('SET', 'cdcd:l:{user:' .. i .. '}', 'token') end
        """, "0", "\(Self.values)", "\(Self.leases)")
    }

    /// Both counted at one moment.
    private func left(_ redis: RedisClient) throws -> (leases: Int, values: Int) {
      let reply = try redis(
        "EVAL", "return {#redis.call('KEYS', 'cdcd:l:*'), #redis.call('KEYS', 'user:*')}", "0")
      guard case .array(let counts) = reply, case .integer(let leases) = counts[0],
        case .integer(let values) = counts[1]
      else { throw TimedOut(description: "\(reply)") }
      return (Int(leases), Int(values))
    }

    @Test(
      "200,000 keys: paced, leases first; after a kill -9 half-way it begins again and leaves none",
      Installation.streamOnly)
    func pacedAndKilled() throws {
      var options = Installation.Options()
      options.flushRate = Self.rate
      options.rules = "  - {table: users, keys: ['user:{id}']}"
      let installation = try Installation(options)
      try installation.stopCDCD()
      let redis = try installation.redis.client(timeout: .seconds(30))
      try populate(redis)
      try redis("SET", "unrelated", "kept")
      try installation.postgres.query(
        "SELECT pg_drop_replication_slot('cdcd'); SELECT pg_create_logical_replication_slot('cdcd', '\(installation.mode)')"
      )
      let first = try installation.startCDCD()
      try eventually("the flush deletes") { try FlushProgress.of(first)?.deletedKeys ?? 0 > 0 }
      let begun = ContinuousClock.now
      let before = try FlushProgress.of(first)?.deletedKeys ?? 0
      var phases: [String] = []
      while true {
        let count = try left(redis)
        #expect(count.leases == 0 || count.values == Self.values, "a value went before the last lease")
        guard let progress = try FlushProgress.of(first) else { break }
        if phases.last != progress.phase { phases.append(progress.phase) }
        let seconds = begun.duration(to: .now) / .seconds(1)
        // A page is in flight, and the status is a tenth of a second old.
        let allowed = Double(before) + seconds * Double(Self.rate) * 1.1 + 5_000
        #expect(Double(progress.deletedKeys) < allowed, "\(progress.deletedKeys) keys in \(seconds) s")
        #expect(progress.scannedKeys >= progress.deletedKeys)
        if count.values < Self.values / 2 { break }
        // A sample twice a second: counting blocks Redis, which has a flush to do.
        Thread.sleep(forTimeInterval: 0.5)
      }
      #expect(phases == ["leases", "values"] || phases == ["values"], "\(phases)")
      #expect(begun.duration(to: .now) > .seconds(4), "half of the values at \(Self.rate) a second")
      #expect(try first.get("/readyz").status == 503)
      #expect(try first.get("/wait?lsn=0/1&timeout=1s").status == 504)
      #expect(try first.metric("cdcd_flush_keys_total") ?? 0 > Double(Self.values) / 2)
      first.process.signal(SIGKILL)
      _ = try first.process.waitForExit()
      #expect(try left(redis).values > 0)

      // Deletes go on meanwhile, and what readers have put back is deleted as well.
      try redis("SET", "user:1", "stale again")
      let second = try installation.startCDCD()
      try eventually("the flush begins again") {
        try FlushProgress.of(second)?.reason == "flush_interrupted"
      }
      #expect(try second.get("/readyz").status == 503)
      try second.waitUntilReady(within: .seconds(60))
      #expect(try left(redis) == (0, 0))
      #expect(try redis.exists("unrelated"))
      #expect(try second.process.output.contains("flush done"))
    }

    @Test("a flush that lasts tells the log every ten seconds how far it is")
    func progressInTheLog() throws {
      var options = Installation.Options()
      options.flushRate = 200
      let installation = try Installation(options)
      let redis = try installation.redis.client()
      for id in 1...2_600 { try redis("SET", "user:\(id)", "cached") }
      try installation.postgres.query("TRUNCATE users")
      try eventually(within: .seconds(20), "a line of progress") {
        try installation.cdcd.process.output.contains("flushing (values): ")
      }
      try installation.cdcd.waitUntilReady(within: .seconds(60))
      let lines = try installation.cdcd.process.output.split(separator: "\n")
      #expect(lines.filter { $0.contains("cause=flush_progress") }.count <= 2)
    }

    /// What keeps a barrier closed, and how it is named.
    enum Blocker: CaseIterable {
      case idleTransaction, preparedTransaction
    }

    @Test(
      "a flush at its barrier names the transaction that it waits for; deletes go on",
      arguments: Blocker.allCases)
    func namesTheBlocker(blocker: Blocker) throws {
      var options = Installation.Options()
      options.postgresSettings = ["max_prepared_transactions=5"]
      let installation = try Installation(options)
      try installation.postgres.query("INSERT INTO users VALUES (1), (2)")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      for key in ["user:1", "user:2", "order:{1}:item:1"] { try redis("SET", key, "cached") }
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO unruled VALUES (1)")
      if blocker == .preparedTransaction { try session.rows("PREPARE TRANSACTION 'forgotten'") }
      let name =
        blocker == .idleTransaction
        ? "process \(session.backend) (idle in transaction, cdcd tests)" : "'forgotten'"

      try installation.postgres.query("TRUNCATE order_items")
      let cdcd = try installation.cdcd
      try eventually("/readyz names \(name)") {
        let answer = try cdcd.get("/readyz")
        return answer.status == 503 && answer.body.contains(name) && answer.body.contains("s old")
      }
      #expect(try FlushProgress.of(cdcd)?.phase == "barrier")
      #expect(try FlushProgress.of(cdcd)?.waitsFor?.contains(name) == true)
      #expect(try cdcd.process.output.contains("a flush waits for"))
      try installation.postgres.query("UPDATE users SET name = 'x' WHERE id = 1")
      try installation.expectGone("user:1")
      #expect(try redis.exists("order:{1}:item:1"))
      try session.rows(blocker == .idleTransaction ? "COMMIT" : "ROLLBACK PREPARED 'forgotten'")
      try cdcd.waitUntilReady()
      #expect(try !redis.exists("order:{1}:item:1"))
      #expect(try redis.exists("user:2"), "TRUNCATE concerns its table only")
    }

    @Test("a slot that is being made names the transaction that it waits for", Installation.streamOnly)
    func slotNamesTheBlocker() throws {
      let installation = try Installation(start: false)
      try installation.setUp()
      try installation.postgres.query("SELECT pg_drop_replication_slot('cdcd')")
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO unruled VALUES (1)")
      let cdcd = try installation.startCDCD()
      try eventually("/readyz names the process") {
        let answer = try cdcd.get("/readyz")
        return answer.status == 503
          && answer.body.contains("the slot is being made and waits for process \(session.backend)")
      }
      #expect(try cdcd.process.output.contains("the new slot waits for process \(session.backend)"))
      try session.rows("COMMIT")
      try cdcd.waitUntilReady()
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
    }
  }
}
