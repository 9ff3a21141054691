import Foundation
import Testing

extension RealServers {
  /// SIGHUP: other rules while the stream goes on.
  @Suite struct Reload {
    private static let users = "  - {name: users, table: users, keys: ['user:{id}']}\n"
    private static let documents = "  - {name: documents, table: documents, keys: ['document:{id}']}\n"
    private static let people = "  - {name: users, table: users, keys: ['person:{id}']}\n"
    private static let replaced = "the rules were replaced"

    private func installation(
      mode: String = Installation.mode, onGap: String = "flush"
    ) throws -> Installation {
      var options = Installation.Options()
      options.mode = mode
      options.onGap = onGap
      options.rules = Self.users + Self.documents
      let installation = try Installation(options, start: false)
      try installation.setUp()
      try installation.startCDCD(with: onGap == "halt" ? ["run", "--accept-gap"] : []).waitUntilReady()
      try installation.postgres.query(
        "INSERT INTO users VALUES (1, 'a', 'a'), (2, 'b', 'b'); INSERT INTO documents VALUES (1, 'a', 'a')")
      return installation
    }

    @Test(
      "a rule that gives other keys is flushed, alone, and the stream goes on", arguments: Installation.modes)
    func changedRule(mode: String) throws {
      let installation = try installation(mode: mode)
      let redis = try installation.redis.client()
      try installation.expectSettled()
      for key in ["person:1", "user:1", "document:1"] { try redis("SET", key, "cached") }
      let walsender = try installation.postgres.query("SELECT pid FROM pg_stat_replication")
      try installation.reload(Self.documents + Self.people)
      try installation.expectLog("\(Self.replaced): 1 as before, 1 new or changed, 1 gone")
      try installation.expectGone("person:1")
      try installation.cdcd.waitUntilReady()
      #expect(try redis.exists("document:1") && redis.exists("user:1"))
      #expect(try installation.gaps("rules_changed") == 1)
      let gone = try installation.keysGone(
        of: ["person:1", "person:2", "user:1", "document:1"],
        after: "UPDATE users SET name = 'b' WHERE id = 1; UPDATE documents SET title = 'b'")
      #expect(gone == ["person:1", "document:1"])
      #expect(try installation.postgres.query("SELECT pid FROM pg_stat_replication") == walsender)
      #expect(try installation.cdcd.metric("cdcd_reconnects_total") ?? 0 == 0)
    }

    @Test("the same rules in another order, or with other names, are no gap")
    func sameRules() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.expectSettled()
      for key in ["user:1", "document:1"] { try redis("SET", key, "cached") }
      _ = try installation.keysGone(of: ["user:2"], after: "UPDATE users SET name = 'c' WHERE id = 2")
      try installation.reload(
        Self.documents + "  - {name: renamed, table: users, keys: ['user:{id}'], redelete_after: 1ms}\n")
      try installation.expectLog("\(Self.replaced): 2 as before, 0 new or changed, 0 gone")
      try installation.expectSettled()
      #expect(try redis.exists("user:1") && redis.exists("document:1"))
      #expect(try installation.gaps("rules_changed") == 0)
      // Its count goes on under the new name.
      try eventually("the key is counted") {
        try installation.cdcd.metric("cdcd_keys_deleted_total{rule=\"renamed\"}") ?? 0 >= 1
      }
    }

    @Test(
      "a rule that is gone deletes no more; one that comes back is flushed", arguments: Installation.modes)
    func goneRule(mode: String) throws {
      let installation = try installation(mode: mode)
      let redis = try installation.redis.client()
      try installation.reload(Self.documents)
      try installation.expectLog(Self.replaced)
      let change = "UPDATE users SET name = 'b' WHERE id = 1; UPDATE documents SET title = 'b'"
      #expect(try installation.keysGone(of: ["user:1", "document:1"], after: change) == ["document:1"])
      #expect(try !installation.cdcd.get("/metrics").body.contains("rule=\"users\""))
      try installation.reload(Self.users + Self.documents)
      try installation.expectGone("user:1")
      try redis("SET", "user:1", "cached")
      try installation.cdcd.waitUntilReady()
      #expect(
        try installation.keysGone(of: ["user:1"], after: "UPDATE users SET name = 'c' WHERE id = 1") == [
          "user:1"
        ])
    }

    @Test("a rule for a table that was not ruled, and is partitioned", arguments: Installation.modes)
    func newTable(mode: String) throws {
      let installation = try installation(mode: mode)
      try installation.postgres.query(
        """
        CREATE TABLE events (id int, day int, what text, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
        CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
        INSERT INTO events VALUES (1, 1, 'a')
        """)
      let rules = Self.users + Self.documents + "  - {table: events, keys: ['event:{id}:{day}']}\n"
      installation.setRules(rules)
      try installation.setUp()
      try installation.reload(rules)
      try installation.expectLog(Self.replaced)
      try installation.cdcd.waitUntilReady()
      let keys = ["event:1:1", "event:2:2", "event:3:1", "user:1"]
      let gone = try installation.keysGone(
        of: keys, after: "UPDATE events SET day = 2; INSERT INTO events VALUES (2, 2, 'b')")
      #expect(gone == ["event:1:1", "event:2:2"])
    }

    @Test("a table that is not published yet keeps cdcd from being ready, and its rule from being forgotten")
    func unpublishedTable() throws {
      let installation = try installation(mode: "pgoutput")
      let rules = Self.users + Self.documents + "  - {table: orders, keys: ['order:{id}']}\n"
      try installation.reload(rules)
      try installation.expectNotReady(because: "public.orders")
      try eventually("its flush waits for it") {
        try FlushProgress.of(installation.cdcd)?.phase == "unpublished"
      }
      let redis = try installation.redis.client()
      for key in ["user:1", "order:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query("UPDATE users SET name = 'b' WHERE id = 1")
      try installation.expectGone("user:1")
      try installation.setUp()
      try installation.cdcd.waitUntilReady(within: .seconds(90))
      #expect(try !redis.exists("order:1"))
    }

    @Test(
      "a file that is wrong changes nothing, and the log says where",
      arguments: [
        ("  - {table: users, keys: ['user:{id']}\n", "cdcd.yaml:17:"),
        ("  - {table: users, kyes: ['user:{id}']}\n", "kyes"),
        ("  - {table: orders, keys: ['order:{id}:{user_id}:{nothing}']}\n", "nothing"),
        ("  - {table: users, keys: ['user:{id}'], where: {id: [one]}}\n", "one"),
      ])
    func wrongFile(rules: String, told: String) throws {
      let installation = try installation()
      try installation.reload(rules)
      try installation.expectLog("the rules in force stay: ")
      let log = try installation.cdcd.process.output
      #expect(
        log.split(separator: "\n").contains { $0.contains("the rules in force stay") && $0.contains(told) })
      try installation.cdcd.waitUntilReady()
      let gone = try installation.keysGone(
        of: ["user:1", "document:1"],
        after: "UPDATE users SET name = 'b' WHERE id = 1; UPDATE documents SET title = 'b'")
      #expect(gone == ["user:1", "document:1"])
      #expect(try installation.gaps("rules_changed") == 0)
      #expect(try installation.cdcd.get("/status").body.contains("reload_refused"))
      // Mended, it is taken.
      try installation.reload(Self.documents)
      try installation.expectLog(Self.replaced)
    }

    @Test("a file that is gone, and sections that only a start can change")
    func otherSections() throws {
      let installation = try installation()
      let cdcd = try installation.cdcd
      let path = installation.folder.file("cdcd.yaml")
      let text = try String(contentsOfFile: path, encoding: .utf8)
      try FileManager.default.removeItem(atPath: path)
      cdcd.process.signal(SIGHUP)
      try installation.expectLog("the rules in force stay: ")
      try text.replacingOccurrences(of: "level: debug", with: "level: info")
        .replacingOccurrences(of: Self.documents, with: "")
        .write(toFile: path, atomically: true, encoding: .utf8)
      cdcd.process.signal(SIGHUP)
      try installation.expectLog("what else differs counts from the next start on: log")
      try installation.expectLog("\(Self.replaced): 1 as before, 0 new or changed, 1 gone")
    }

    @Test("with on_gap: halt a rule that would be a gap is refused, and one that goes is not")
    func halting() throws {
      let installation = try installation(onGap: "halt")
      try installation.reload(Self.documents + Self.people)
      try installation.expectLog("on_gap is halt: users")
      try installation.reload(Self.documents)
      try installation.expectLog("\(Self.replaced): 1 as before, 0 new or changed, 1 gone")
      try installation.cdcd.waitUntilReady()
    }

    @Test("PostgreSQL or Redis away: the rules are taken, and count when it is back")
    func serversAway() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.expectSettled()
      for key in ["person:1", "document:1"] { try redis("SET", key, "cached") }
      try installation.postgres.stop()
      try installation.reload(Self.documents + Self.people)
      try installation.expectLog(Self.replaced)
      try installation.postgres.start()
      try installation.cdcd.waitUntilReady()
      #expect(try !redis.exists("person:1") && redis.exists("document:1"))
      try redis("SET", "user:1", "cached")
      installation.redis.freeze()
      try installation.reload(Self.documents + Self.users)
      try installation.expectLog(Self.replaced, count: 2)
      installation.redis.thaw()
      try installation.expectGone("user:1")
      try installation.cdcd.waitUntilReady()
      #expect(try redis.exists("document:1"))
    }

    @Test("SIGHUP while it starts does not end it")
    func earlyReload() throws {
      let installation = try installation()
      try installation.stopCDCD()
      installation.postgres.freeze()
      let cdcd = try installation.startCDCD()
      Thread.sleep(forTimeInterval: 0.5)
      cdcd.process.signal(SIGHUP)
      Thread.sleep(forTimeInterval: 0.2)
      #expect(cdcd.process.isRunning)
      installation.postgres.thaw()
      try cdcd.waitUntilReady()
    }

    @Test(
      "commits that hang after a reload hold nobody else's deletes up, and are no gap",
      arguments: Installation.streamingModes)
    func hangingCommits(mode: String) throws {
      let installation = try installation(mode: mode)
      try installation.expectSettled()
      try installation.reload(Self.documents + Self.users)
      try installation.expectLog(Self.replaced)
      try installation.cdcd.waitUntilReady()
      let session = try installation.postgres.session()
      try session.rows("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
      try session.rows("SELECT pg_reload_conf(); SET synchronous_commit = local")
      try eventually("it is in force") { try session.value("SHOW synchronous_standby_names") == "ghost" }
      let hanging = try (3...32).map { id in
        let session = try installation.postgres.session()
        try session.begin("INSERT INTO users VALUES (\(id), 'c', 'c')")
        return session
      }
      try installation.redis.client()("SET", "document:1", "cached")
      try session.rows("UPDATE documents SET title = 'b'")
      // Each that hangs would hold the stream up for a quarter of a second, if the catalogue had to show it.
      try installation.expectGone("document:1", within: .seconds(4))
      #expect(try installation.gaps("table_changed") == 0)
      try session.rows("ALTER SYSTEM RESET synchronous_standby_names")
      try session.rows("SELECT pg_reload_conf()")
      for session in hanging { _ = try session.receiveAnswer() }
    }

    @Test("killed between the reload and the end of its flush: the next start flushes")
    func killedInTheFlush() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.expectSettled()
      try redis("SET", "person:1", "cached")
      // Its barrier waits for this transaction.
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO unruled VALUES (1)")
      try installation.reload(Self.documents + Self.people)
      try installation.expectNotReady(because: "rule users is being flushed")
      try eventually("the watermark tells of the flush") {
        try installation.watermark(of: redis).contains("flush=-") == false
      }
      try installation.cdcd.process.signal(SIGKILL)
      _ = try installation.cdcd.process.waitForExit()
      #expect(try redis.exists("person:1"))
      try session.rows("COMMIT")
      try installation.startCDCD().waitUntilReady()
      #expect(try !redis.exists("person:1"))
    }
  }
}

extension Installation {
  /// The text of the only watermark in Redis.
  fileprivate func watermark(of redis: RedisClient) throws -> String {
    guard case .array(let keys) = try redis("KEYS", "cdcd:wm:*"), let key = keys.first?.text else {
      throw TimedOut(description: "there is no watermark")
    }
    return try redis("GET", key).text ?? ""
  }
}
