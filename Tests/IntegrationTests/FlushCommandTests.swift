import Foundation
import Synchronization
import Testing

extension RealServers {
  /// `cdcd flush`, beside the daemon and without it.
  @Suite struct FlushCommand {
    private static let users = "public.users"
    /// A value and a lease of each rule, and what no rule covers.
    private static let ruled = [
      "user:1", "user:email:a@b", "order:{1}:item:1", "order:1", "Item:1:x", "document:1",
    ]
    private static let others = ["unrelated", "users:1", "xuser:1"]

    private func populate(_ redis: RedisClient) throws {
      for key in Self.ruled + Self.others {
        try redis("SET", key, "cached")
        try redis("SET", Lease.key(for: key), "token")
      }
    }

    private func left(_ redis: RedisClient) throws -> (ruled: [String], leases: [String]) {
      (
        try Self.ruled.filter { try redis.exists($0) },
        try Self.ruled.filter { try redis.exists(Lease.key(for: $0)) }
      )
    }

    private func expectOthersIntact(_ redis: RedisClient) throws {
      for key in Self.others {
        #expect(try redis.exists(key), "\(key)")
        #expect(try redis.exists(Lease.key(for: key)), "the lease of \(key)")
      }
    }

    private func size(_ redis: RedisClient) throws -> Int64 {
      guard case .integer(let count) = try redis("DBSIZE") else { throw TimedOut(description: "no DBSIZE") }
      return count
    }

    @Test("all rules, beside the daemon: values and leases go, the rest stays, and the daemon goes on")
    func allRules() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      try populate(redis)
      let flush = try installation.command("flush")
      #expect(flush.status == 0, "\(flush.output)")
      #expect(flush.output.hasPrefix("Deleted 6 keys and 6 leases of 5 rules in "), "\(flush.output)")
      #expect(try left(redis) == ([], []))
      try expectOthersIntact(redis)
      try installation.expectSettled()
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
      for metric in ["cdcd_lineage_breaks_total", "cdcd_evicted_watermarks_total"] {
        #expect(try installation.cdcd.metric(metric) == 0)
      }
    }

    @Test(
      "the rules that are named, and no other; a wrong name is told with the nearest, before anything goes")
    func someRules() throws {
      let installation = try Installation(start: false)
      let redis = try installation.redis.client()
      try populate(redis)
      let unknown = try installation.command("flush", "--rule", Self.users, "--rule", "piad")
      #expect(unknown.status == 64)
      #expect(
        unknown.output.contains(#"There is no rule "piad"; the nearest is "paid"."#), "\(unknown.output)")
      #expect(try left(redis).ruled == Self.ruled)
      let one = try installation.command("flush", "--rule", "paid")
      #expect(one.status == 0, "\(one.output)")
      // The glob of its template, order:*, covers the items' keys as well: over-invalidation is allowed.
      #expect(try left(redis).ruled == ["user:1", "user:email:a@b", "Item:1:x", "document:1"])
      let two = try installation.command("flush", "--rule", Self.users, "--rule", "public.documents")
      #expect(two.output.hasPrefix("Deleted 3 keys and 3 leases of 2 rules in "), "\(two.output)")
      #expect(try left(redis).ruled == ["Item:1:x"])
      try expectOthersIntact(redis)
    }

    @Test("--dry-run counts by pattern and deletes nothing")
    func dryRun() throws {
      let installation = try Installation(start: false)
      let redis = try installation.redis.client()
      try populate(redis)
      let before = try size(redis)
      let counting = try installation.command("flush", "--dry-run", "--rule", Self.users)
      #expect(counting.status == 0)
      let lines = counting.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
      #expect(
        lines == [
          "0 cdcd:l:user:*", "2 cdcd:l:{user:*}", "0 cdcd:l:user:email:*", "1 cdcd:l:{user:email:*}",
          "2 user:*",
          "1 user:email:*",
          "2 keys and 2 leases of 1 rule would be deleted; one that several patterns cover is in the line of each.",
        ], "\(counting.output)")
      #expect(try size(redis) == before)
    }

    @Test("a rule that no pattern covers is refused, with the remedy, before anything goes")
    func withoutPattern() throws {
      var options = Installation.Options()
      options.rules = """
          - {table: users, keys: ["user:{id}"]}
          - {table: documents, keys: ["{id}"], on_gap: ignore}
        """
      let installation = try Installation(options, start: false)
      let redis = try installation.redis.client()
      try populate(redis)
      for words in [["flush"], ["flush", "--rule", "public.documents"]] {
        let path = try installation.configuration(httpPort: 1)
        let refused = try CommandResult.of(
          [CDCDProcess.binary] + words + ["--config", path], in: installation.folder)
        #expect(refused.status == 1)
        #expect(
          refused.output.contains("The rule public.documents has no pattern to flush: add pattern:"),
          "\(refused.output)")
      }
      #expect(try redis.exists("user:1"))
      #expect(try installation.command("flush", "--rule", Self.users).status == 0)
      #expect(try !redis.exists("user:1"))
    }

    @Test("redis.leases and redis.command are kept to")
    func settings() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      try populate(redis)
      let rules = "[{table: users, keys: ['user:{id}']}]"
      let flush = try server.cdcd(
        "flush", rules: rules, redisEntries: "leases: false, command: del")
      #expect(flush.output.hasPrefix("Deleted 2 keys and 0 leases of 1 rule in "), "\(flush.output)")
      #expect(try redis.exists("cdcd:l:{user:1}"))
      let stats = try redis("INFO", "commandstats").text ?? ""
      #expect(stats.contains("cmdstat_del:") && !stats.contains("cmdstat_unlink:"))
      // A pattern that covers everything leaves cdcd's own keys alone.
      try redis("SET", "cdcd:wm:1:cdcd", "kept")
      #expect(try server.cdcd("flush", rules: "[{table: users, keys: ['{id}'], pattern: '*'}]").status == 0)
      #expect(try redis("KEYS", "*") == .array([.text("cdcd:wm:1:cdcd")]))
    }

    /// Reads users 1...50 through the cache until it is told to stop.
    private final class Readers: Sendable {
      private let isStopped = Atomic(false)
      private let done = DispatchSemaphore(value: 0)

      init(_ installation: Installation) {
        Thread.detachNewThread { [self] in
          defer { done.signal() }
          do {
            let redis = try installation.redis.client()
            let session = try installation.postgres.session()
            while !isStopped.load(ordering: .relaxed) {
              for id in 1...50 {
                let token = UUID().uuidString
                guard try Lease.get("user:\(id)", token: token, from: redis) == .granted else { continue }
                let name = try session.value("SELECT name FROM users WHERE id = \(id)")
                _ = try Lease.fill("user:\(id)", token: token, value: name, into: redis)
              }
            }
          } catch {
            Issue.record("a reader failed: \(error)")
          }
        }
      }

      func stop() {
        isStopped.store(true, ordering: .relaxed)
        done.wait()
      }
    }

    @Test("under readers and writers, beside the daemon: what the stream never told of is out of the cache")
    func underLoad() throws {
      let installation = try Installation()
      let redis = try installation.redis.client()
      try installation.dropEventTriggers()
      try installation.postgres.query("INSERT INTO users SELECT n, NULL, 'old' FROM generate_series(1, 50) n")
      try installation.expectSettled()
      let readers = Readers(installation)
      try eventually("the cache is full") { try (1...50).allSatisfy { try redis.get("user:\($0)") == "old" } }
      // No row event tells of it.
      try installation.postgres.query("ALTER TABLE users ALTER name TYPE text USING 'new'")
      let writer = try installation.postgres.session()
      for line in 1...200 { try writer.rows("INSERT INTO order_items VALUES (1, \(line))") }
      try installation.expectSettled()
      #expect(try redis.get("user:1") == "old", "the daemon cannot know")
      let flush = try installation.command("flush", "--rule", Self.users)
      // The readers go on for a while with what they hold.
      for line in 201...400 { try writer.rows("INSERT INTO order_items VALUES (1, \(line))") }
      readers.stop()
      #expect(flush.status == 0, "\(flush.output)")
      for id in 1...50 { #expect(try redis.get("user:\(id)") == "new") }
      #expect(
        try installation.keysGone(
          of: ["order:{1}:item:9"], after: "UPDATE order_items SET sku = 'x' WHERE line = 9")
          == ["order:{1}:item:9"])
      #expect(try installation.cdcd.metric("cdcd_lineage_breaks_total") == 0)
    }

    @Test("readers that fill by a plain SET get the time that redelete_after gives them")
    func plainSetReaders() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      let rules =
        "[{table: users, keys: ['user:{id}'], redelete_after: 2s}, {table: orders, keys: ['order:{id}']}]"
      try redis("SET", "user:1", "old")
      let flush = try server.start("flush", rules: rules)
      try eventually("the first walk is over") { try !redis.exists("user:1") }
      // What it read before the change.
      try redis("SET", "user:1", "old")
      try redis("SET", "order:1", "new")
      #expect(try flush.waitForExit() == 0)
      #expect(try flush.output.contains("Waiting for readers that fill by a plain SET (redelete_after)"))
      #expect(try flush.output.contains("Deleted 2 keys and 0 leases of 2 rules in 2 s."))
      #expect(try redis.exists("order:1"), "a rule without redelete_after is walked once")
    }

    @Test("PostgreSQL is not needed; a Redis that is away is 69, and so is one that answers nothing")
    func awayServers() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      let rules = "[{table: users, keys: ['user:{id}']}]"
      try server.postgres.stop()
      try redis("SET", "user:1", "cached")
      #expect(try server.cdcd("flush", rules: rules).status == 0)
      #expect(try !redis.exists("user:1"))
      server.redis.freeze()
      let frozen = try server.cdcd("flush", "--timeout", "1s", rules: rules)
      server.redis.thaw()
      #expect(frozen.status == 69)
      #expect(frozen.output.contains("no answer within 5 seconds"), "\(frozen.output)")
      #expect(frozen.output.contains("Nothing was deleted."))
      try server.redis.stop()
      let away = try server.cdcd("flush", "--timeout", "1s", rules: rules)
      #expect(away.status == 69)
      #expect(away.output.contains("Connection refused"), "\(away.output)")
      // It comes back in time.
      let waiting = try server.start("flush", rules: rules)
      try eventually("it tries again") { try waiting.output.contains("Connection refused; trying again") }
      try server.redis.start()
      #expect(try waiting.waitForExit() == 0)
    }

    @Test("what Redis refuses is no success: rights are named at once, a replica is waited for")
    func refusals() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      let rules = "[{table: users, keys: ['user:{id}']}]"
      let url = "redis://cdcd:geheim@127.0.0.1:\(server.redis.port)/0"
      try redis("SET", "user:1", "cached")
      try redis.run(
        ["ACL", "SETUSER", "cdcd", "on", ">geheim", "+info", "+scan", "+unlink", "~cdcd:*"])
      let keys = try server.cdcd("flush", rules: rules, redis: url)
      #expect(keys.status == 1)
      #expect(keys.output.contains("ACL SETUSER cdcd ~user:*, then"), "\(keys.output)")
      try redis.run(["ACL", "SETUSER", "cdcd", "~user:*", "-unlink"])
      let command = try server.cdcd("flush", rules: rules, redis: url)
      #expect(command.status == 1)
      #expect(command.output.contains("ACL SETUSER cdcd +unlink, then"), "\(command.output)")
      let password = try server.cdcd(
        "flush", rules: rules, redis: "redis://cdcd:wrong@127.0.0.1:\(server.redis.port)/0")
      #expect(password.status == 69)
      #expect(password.output.contains("the login was refused (WRONGPASS)"), "\(password.output)")
      try redis("CONFIG", "SET", "requirepass", "geheim")
      let login = try server.cdcd("flush", rules: rules)
      #expect(login.status == 69)
      #expect(login.output.contains("put the password into redis.url"), "\(login.output)")
      try redis("CONFIG", "SET", "requirepass", "")

      let primary = try RedisServer(in: try TemporaryFolder())
      try primary.start()
      try primary.client()("SET", "user:1", "cached")
      try redis("REPLICAOF", "127.0.0.1", "\(primary.port)")
      let replica = try server.cdcd("flush", "--timeout", "1s", rules: rules)
      #expect(replica.status == 69)
      #expect(replica.output.contains("it is a replica"), "\(replica.output)")
      let waiting = try server.start("flush", rules: rules)
      try eventually("it tries again") { try waiting.output.contains("it is a replica") }
      try redis("REPLICAOF", "NO", "ONE")
      #expect(try waiting.waitForExit() == 0)
      #expect(try !redis.exists("user:1"))
      // UNLINK frees memory, and is allowed where there is none left.
      try redis("SET", "user:1", "cached")
      try redis("CONFIG", "SET", "maxmemory", "1")
      #expect(try server.cdcd("flush", rules: rules).status == 0)
      #expect(try !redis.exists("user:1"))
    }

    @Test("a node of a cluster has some of the keys alone, and is refused")
    func clusterNode() throws {
      let server = try SetupServer(redisOptions: ["--cluster-enabled", "yes", "--save", ""])
      let node = try server.cdcd("flush", rules: "[{table: users, keys: ['user:{id}']}]")
      #expect(node.status == 1)
      #expect(node.output.contains("error: Redis is a node of a cluster"), "\(node.output)")
    }

    @Test("a failover on the way: the walk begins anew, on the keys that are there now")
    func failover() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      for id in 1...400 { try redis("SET", "user:\(id)", "cached") }
      try server.redis.startReplica()
      try server.redis.cutOffReplica()
      let flush = try server.start(
        "flush", rules: "[{table: users, keys: ['user:{id}']}]", redisEntries: "flush_rate: 100")
      try eventually("it deletes") { try size(redis) < 350 }
      try server.redis.failOver()
      let promoted = try server.redis.client()
      #expect(try flush.waitForExit(within: .seconds(30)) == 0)
      #expect(try flush.output.contains("; trying again"))
      #expect(try size(promoted) == 0)
    }

    @Test("another history of Redis beneath a connection that stands is no success either")
    func failoverBeneathTheConnection() throws {
      let server = try SetupServer(
        redisOptions: ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"])
      let redis = try server.redis.client()
      for id in 1...200 { try redis("SET", "user:\(id)", "cached") }
      let flush = try server.start(
        "flush", rules: "[{table: users, keys: ['user:{id}']}]", redisEntries: "flush_rate: 100")
      try eventually("it deletes") { try size(redis) < 150 }
      try redis("DEBUG", "CHANGE-REPL-ID")
      #expect(try flush.waitForExit() == 0)
      #expect(try flush.output.contains("it has failed over meanwhile; trying again"))
      #expect(try size(redis) == 0)
    }

    @Test(
      "200,000 keys: at the rate, leases first; interrupted it says how far it got, and the next one finishes"
    )
    func paced() throws {
      let server = try SetupServer()
      let redis = try server.redis.client(timeout: .seconds(30))
      try redis(
        "EVAL",
        """
        for i = 1, 200000 do redis.call('SET', 'user:' .. i, 'cached') end
        for i = 1, 20000 do redis.call('SET', 'cdcd:l:{user:' .. i .. '}', 'token') end
        for i = 1, 1000 do redis.call('SET', 'other:' .. i, 'kept') end
        """, "0")
      let rules = "[{table: users, keys: ['user:{id}']}]"
      let first = try server.start("flush", rules: rules, redisEntries: "flush_rate: 20000")
      let begun = ContinuousClock.now
      var count = 221_000
      while count > 120_000 {
        Thread.sleep(forTimeInterval: 0.5)
        let reply = try redis("EVAL", "return {redis.call('DBSIZE'), #redis.call('KEYS', 'cdcd:l:*')}", "0")
        guard case .array(let counts) = reply, case .integer(let keys) = counts[0],
          case .integer(let leases) = counts[1]
        else { throw TimedOut(description: "\(reply)") }
        #expect(leases == 0 || keys == 201_000 + leases, "a value went before the last lease")
        count = Int(keys)
        let allowed = begun.duration(to: .now) / .seconds(1) * 20_000 + 1_000
        #expect(Double(221_000 - count) < allowed, "\(221_000 - count) keys within the time for \(allowed)")
      }
      first.signal(SIGINT)
      #expect(try first.waitForExit() == 130)
      let output = try first.output
      #expect(output.contains(" %, values: "), "a line every five seconds: \(output)")
      let interrupted = try #require(
        output.firstMatch(of: /Interrupted at (\d+) %\. Deleted (\d+) keys and 20000 leases;/))
      #expect(try size(redis) == 201_000 - (try #require(Int64(interrupted.2))))
      #expect(try #require(Int(interrupted.1)) > 40)
      let second = try server.cdcd("flush", rules: rules)
      #expect(second.status == 0)
      #expect(try size(redis) == 1_000)
    }

    @Test("on a terminal one line is redrawn, with a bar")
    func terminal() throws {
      let server = try SetupServer()
      let redis = try server.redis.client()
      for id in 1...300 { try redis("SET", "user:\(id)", "cached") }
      let path = try server.folder.write(
        """
        source: {postgres: 'postgresql://nobody@127.0.0.1:1/none'}
        redis: {url: '\(server.redis.url)', flush_rate: 200}
        rules: [{table: users, keys: ['user:{id}']}]
        """, to: "terminal.yaml")
      let result = try CommandResult.of(
        ["/usr/bin/script", "-qec", "\(try CDCDProcess.binary) flush --config \(path)", "/dev/null"],
        in: server.folder)
      #expect(result.status == 0, "\(result.output)")
      #expect(result.output.contains(/\r\[#+\.*\] \d+ %, values: \d+ found/), "\(result.output)")
      #expect(result.output.contains("\r\u{1B}[KDeleted 300 keys and 0 leases of 1 rule in "))
      #expect(try size(redis) == 0)
    }

    @Test("a replica that lags is waited for, and named; one that does not move, or is away, is 69")
    func laggingReplica() throws {
      var options = Installation.Options()
      options.standbys = 1
      options.rules = "  - {table: users, keys: ['user:{id}']}"
      let installation = try Installation(options, start: false)
      let standby = try #require(installation.standbys.first)
      let redis = try installation.redis.client()
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'old')")
      try eventually("the replica has the row") {
        try standby.value("SELECT name FROM users WHERE id = 1") == "old"
      }
      try standby.query("SELECT pg_wal_replay_pause()")
      try eventually("replay is paused") {
        try standby.value("SELECT pg_get_wal_replay_pause_state()") == "paused"
      }
      // Visible at once, and not flushed.
      try installation.postgres.query("SET synchronous_commit = off; UPDATE users SET name = 'new'")
      try redis("SET", "user:1", "old")
      let stuck = try installation.command("flush", "--timeout", "1s")
      #expect(stuck.status == 69)
      let name = "read replica postgresql://postgres@127.0.0.1:\(standby.port)/postgres"
      #expect(stuck.output.contains("Waiting for \(name): it has replayed "), "\(stuck.output)")
      #expect(try redis.exists("user:1"))

      let flush = try installation.startCDCD(named: "flush", with: ["flush"]).process
      try eventually("it waits") { try flush.output.contains("Waiting for \(name)") }
      // As a reader of the replica does, with a lease that it takes now.
      try redis("DEL", "user:1")
      #expect(try Lease.get("user:1", token: "reader", from: redis) == .granted)
      let seen = try standby.value("SELECT name FROM users WHERE id = 1")
      #expect(try Lease.fill("user:1", token: "reader", value: seen, into: redis) && seen == "old")
      #expect(flush.isRunning)
      try standby.query("SELECT pg_wal_replay_resume()")
      #expect(try flush.waitForExit() == 0)
      #expect(try !redis.exists("user:1"))
      #expect(try standby.value("SELECT name FROM users WHERE id = 1") == "new")

      try standby.stop()
      try redis("SET", "user:1", "old")
      let away = try installation.command("flush", "--timeout", "1s")
      #expect(away.status == 69)
      #expect(away.output.contains("\(name): "), "\(away.output)")
      try standby.start()
      try installation.postgres.stop()
      let primaryAway = try installation.command("flush", "--timeout", "1s")
      #expect(primaryAway.status == 69)
      #expect(
        primaryAway.output.contains("which source.replicas have to catch up with"), "\(primaryAway.output)")
      #expect(try redis.exists("user:1"))
    }

    @Test("a replica that is started anew meanwhile may have shown older rows: once more")
    func restartedReplica() throws {
      var options = Installation.Options()
      options.standbys = 1
      options.flushRate = 100
      options.rules = "  - {table: users, keys: ['user:{id}']}"
      let installation = try Installation(options, start: false)
      let standby = try #require(installation.standbys.first)
      let redis = try installation.redis.client()
      for id in 1...500 { try redis("SET", "user:\(id)", "old") }
      let flush = try installation.startCDCD(named: "flush", with: ["flush"]).process
      try eventually("it deletes") { try size(redis) < 450 }
      try standby.restart(.immediate)
      #expect(try flush.waitForExit(within: .seconds(40)) == 0)
      #expect(try flush.output.contains("was started anew, and may have shown older rows; trying again"))
      #expect(try size(redis) == 0)
    }

    @Test("--close-gap takes neither --rule nor --dry-run")
    func usage() throws {
      let installation = try Installation(start: false)
      for words in ["--rule=paid", "--dry-run"] {
        let result = try installation.command("flush", "--close-gap", words)
        #expect(result.status == 64)
        #expect(result.output.contains("--close-gap"))
      }
      #expect(try installation.command("flush", "--timeout", "soon").status == 64)
    }
  }
}
