import Foundation
import Testing

extension RealServers {
  @Suite struct Check {
    static let users = "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text)"
    static let rules = "[{table: users, keys: ['u:{id}']}]"
    static let allIsRight = "Everything is right: 1 rule.\n"

    /// With everything that setup makes.
    private func installed(_ schema: String = users, settings: [String] = []) throws -> SetupServer {
      let server = try SetupServer(schema, settings: settings)
      let setup = try server.cdcd("setup", rules: Self.rules)
      #expect(setup.status == 0, "\(setup.output)")
      return server
    }

    @Test("what would fill the disk, or cost the slot, is told before, and is mended by what is said")
    func slotAtRisk() throws {
      let server = try installed()
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
      try server.set("max_slot_wal_keep_size = -1")
      let unlimited = try server.cdcd("check", rules: Self.rules)
      #expect(unlimited.status == 0)
      #expect(unlimited.output.hasPrefix("warning: max_slot_wal_keep_size is -1"), "\(unlimited.output)")
      #expect(unlimited.output.contains("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';"))
      try server.set("max_slot_wal_keep_size = '50GB'")
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)

      // More than max_wal_size, which is 64 MB, in segments of one.
      for _ in 0..<70 { try server.postgres.query("SELECT txid_current(); SELECT pg_switch_wal()") }
      let behind = try server.cdcd("check", rules: Self.rules)
      #expect(behind.status == 0)
      #expect(behind.output.hasPrefix("warning: The slot cdcd keeps more WAL"), "\(behind.output)")
      try server.set("max_slot_wal_keep_size = '10MB'")
      let doomed = try server.cdcd("check", rules: Self.rules)
      #expect(doomed.output.hasPrefix("warning: The slot cdcd is about to be lost"), "\(doomed.output)")
      try server.postgres.query("CHECKPOINT")
      let lost = try server.cdcd("check", "--json", rules: Self.rules)
      #expect(lost.status == 1)
      #expect(lost.output.contains("The slot cdcd is lost (wal_"), "\(lost.output)")
      #expect(lost.output.contains(#""severity" : "error""#))
      try server.postgres.query("SELECT pg_drop_replication_slot('cdcd')")
      #expect(try server.cdcd("setup", rules: Self.rules).status == 0)
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
    }

    /// What keeps cdcd from streaming, and what both `check` and the running daemon say.
    struct Obstacle: Sendable, CustomTestStringConvertible {
      var settings: [String] = []
      /// After setup.
      var sql: [String] = []
      var words: String
      var testDescription: String { words }
    }

    @Test(
      "the daemon does not stream, and says what check says",
      arguments: [
        Obstacle(settings: ["max_wal_senders=0"], words: "raise max_wal_senders, and restart the server"),
        Obstacle(
          sql: [
            "SELECT pg_drop_replication_slot('cdcd')",
            "SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput', false, true)",
          ], words: "The slot cdcd was made with two_phase"),
        Obstacle(
          sql: [
            "SELECT pg_drop_replication_slot('cdcd')", "SELECT pg_create_physical_replication_slot('cdcd')",
          ], words: "The slot cdcd belongs to physical replication, not to pgoutput."),
        Obstacle(
          sql: [
            "SELECT pg_drop_replication_slot('cdcd')", "CREATE EXTENSION dblink", "CREATE DATABASE other",
            """
            SELECT FROM dblink('port=' || current_setting('port') || ' host=127.0.0.1 user=postgres dbname=other',
              $$SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput')::text$$) AS made (slot text)
            """,
          ], words: "The slot cdcd belongs to another database."),
        Obstacle(
          sql: ["ALTER PUBLICATION cdcd SET (publish = 'insert')"],
          words: "The publication cdcd leaves out kinds of changes: their keys would stay. ALTER PUBLICATION"),
        Obstacle(
          sql: ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"],
          words: "synchronous_standby_names takes cdcd for a standby: every commit would wait for it"),
      ])
    func sameWords(_ obstacle: Obstacle) throws {
      let server = try installed(settings: obstacle.settings)
      for sql in obstacle.sql { try server.postgres.query(sql) }
      let check = try server.cdcd("check", rules: Self.rules)
      #expect(check.status == 1)
      #expect(Self.oneLine(check.output).contains(obstacle.words), "\(check.output)")
      try expectToldByDaemon(obstacle.words, server)
    }

    @Test("a cdcd that streams needs no second connection; one that is to take over does")
    func standIn() throws {
      let server = try installed(settings: ["max_wal_senders=1"])
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
      let daemon = try server.run(rules: Self.rules)
      try daemon.waitUntilReady()
      let check = try server.cdcd("check", rules: Self.rules)
      #expect(check.status == 0)
      #expect(check.output.hasPrefix("warning: cdcd streams, and one more"), "\(check.output)")
      #expect(check.output.contains("raise max_wal_senders"), "\(check.output)")
    }

    @Test("wal_level is told in the same words, before there is a slot")
    func walLevel() throws {
      let server = try SetupServer(Self.users, settings: ["wal_level=replica"])
      let words =
        "wal_level is replica, and logical replication needs logical. ALTER SYSTEM SET wal_level = logical;"
      let check = try server.cdcd("check", rules: Self.rules)
      #expect(check.status == 1)
      #expect(Self.oneLine(check.output).contains(words), "\(check.output)")
      try expectToldByDaemon(words, server)
    }

    @Test("a pooler, a balanced address and a standby are no way to the primary")
    func notThePrimary() throws {
      let server = try installed()
      let pooler = try Proxy.pooler(to: server.postgres, in: server.folder)
      let pooled = try server.cdcd("check", rules: Self.rules, port: pooler.port)
      #expect(pooled.status == 1)
      #expect(
        pooled.output.hasPrefix("error: A pooler stands between cdcd and PostgreSQL"), "\(pooled.output)")
      try expectToldByDaemon("connect to PostgreSQL itself, not to a pooler", server, port: pooler.port)

      let other = try PostgresServer(newClusterBeside: server.postgres, named: "other")
      try other.start()
      try other.query(Self.users)
      let balancer = try Proxy.balancer(over: [server.postgres, other], in: server.folder)
      let words =
        "The replication connection and the query connection reach different servers, or the first has just ended."
      let balanced = try server.cdcd("check", rules: Self.rules, port: balancer.port)
      #expect(balanced.status == 1)
      #expect(balanced.output.contains("error: " + words), "\(balanced.output)")
      try expectToldByDaemon(words, server, port: balancer.port)
      try other.stop()

      let standby = try PostgresServer(standbyOf: server.postgres, named: "standby")
      try standby.start()
      let follower = try server.cdcd("check", rules: Self.rules, port: standby.port)
      #expect(follower.status == 1)
      #expect(follower.output.contains("error: The server is a standby"), "\(follower.output)")
      try expectToldByDaemon("The server is a standby", server, port: standby.port)
    }

    @Test("a server without a free slot, and a role that may not replicate")
    func freeSlots() throws {
      let server = try SetupServer(
        Self.users + "; CREATE ROLE reader LOGIN; SELECT pg_create_physical_replication_slot('taken')",
        settings: ["max_replication_slots=1"])
      let full = try server.cdcd("check", rules: Self.rules)
      #expect(full.status == 1)
      #expect(full.output.contains("Every replication slot that max_replication_slots allows is taken"))
      let reader = try server.cdcd("check", rules: Self.rules, user: "reader")
      #expect(reader.output.contains(#"ALTER ROLE "reader" REPLICATION;"#), "\(reader.output)")
      try server.postgres.query(#"ALTER ROLE "reader" REPLICATION; SELECT pg_drop_replication_slot('taken')"#)
      let both = try server.cdcd("check", rules: Self.rules, user: "reader")
      #expect(!both.output.contains("max_replication_slots") && !both.output.contains("ALTER ROLE"))
    }

    @Test(
      "from 18 on: a plugin that is not allowed, a slot that times out, and one that no standby copies",
      .enabled(
        if: ProcessInfo.processInfo.environment["POSTGRES_BINARIES"] != nil, "Debian's PostgreSQL is older"))
    func recentServers() throws {
      let server = try installed()
      try server.set("idle_replication_slot_timeout = '2d'")
      let timed = try server.cdcd("check", rules: Self.rules)
      #expect(timed.status == 0)
      #expect(timed.output.contains("warning: idle_replication_slot_timeout is 172800 s"), "\(timed.output)")
      try server.set("idle_replication_slot_timeout = 0")

      try server.postgres.query("SELECT pg_drop_replication_slot('cdcd')")
      try server.postgres.query("SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput')")
      let single = try server.cdcd("check", rules: Self.rules)
      #expect(single.status == 0)
      #expect(single.output.hasPrefix("warning: Standbys keep no copy of the slot cdcd"), "\(single.output)")
      let altered = try CommandResult.of(
        [
          "/usr/bin/psql", "-X", server.postgres.url + "?replication=database", "-c",
          #"ALTER_REPLICATION_SLOT "cdcd" (FAILOVER true);"#,
        ], in: server.folder)
      #expect(altered.status == 0, "\(altered.output)")
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)

      try server.set("output_plugin_libraries = test_decoding")
      let refused = try server.cdcd("check", rules: Self.rules)
      #expect(refused.status == 1)
      #expect(refused.output.hasPrefix("error: output_plugin_libraries does not name pgoutput"))
      try expectToldByDaemon("output_plugin_libraries", server)
      try server.set("output_plugin_libraries = test_decoding, pgoutput")
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
    }

    @Test("settings that commit asynchronously are named where lossless_crash denies them")
    func asynchronousCommits() throws {
      let server = try installed(
        Self.users + #"; CREATE ROLE "Batch"; CREATE ROLE report; CREATE ROLE careful"#)
      for sql in [
        "CREATE DATABASE other",
        #"ALTER ROLE "Batch" SET synchronous_commit = off"#,
        "ALTER ROLE report IN DATABASE postgres SET synchronous_commit = 'false'",
        "ALTER DATABASE postgres SET synchronous_commit = off", "ALTER ROLE ALL SET synchronous_commit = 0",
        "ALTER ROLE careful SET synchronous_commit = remote_write",
        "ALTER DATABASE other SET synchronous_commit = off",
      ] { try server.postgres.query(sql) }
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
      let denied = try server.cdcd("check", rules: Self.rules, source: "lossless_crash: true")
      #expect(denied.status == 0)
      #expect(denied.output.hasPrefix("warning: source.lossless_crash says"), "\(denied.output)")
      let remedy = try #require(denied.output.split(separator: "\n").last)
      #expect(
        remedy == """
            ALTER DATABASE postgres RESET synchronous_commit; ALTER ROLE "Batch" RESET synchronous_commit; \
          ALTER ROLE ALL RESET synchronous_commit; ALTER ROLE report IN DATABASE postgres RESET synchronous_commit;
          """)
      for statement in remedy.split(separator: ";") { try server.postgres.query(String(statement)) }
      #expect(
        try server.cdcd("check", rules: Self.rules, source: "lossless_crash: true").output == Self.allIsRight)
      // Of the role that looks, where it hides what the server has; `careful` hides nothing from it.
      try server.postgres.query("ALTER ROLE postgres SET synchronous_commit = on")
      let hidden = try server.cdcd("check", rules: Self.rules, source: "lossless_crash: true")
      #expect(
        hidden.output.hasSuffix("\n  ALTER ROLE postgres RESET synchronous_commit;\n"), "\(hidden.output)")
      try server.postgres.query("ALTER ROLE postgres RESET synchronous_commit")
      let own = try server.cdcd(
        "check", rules: Self.rules, database: "postgres?options=-csynchronous_commit%3Don",
        source: "lossless_crash: true")
      #expect(own.output.contains("Take synchronous_commit out of the options"), "\(own.output)")
      try server.set("synchronous_commit = off")
      let whole = try server.cdcd("check", rules: Self.rules, source: "lossless_crash: true")
      #expect(whole.output.contains("ALTER SYSTEM SET synchronous_commit = on;"), "\(whole.output)")
    }

    @Test("tables: an unlogged partition, and the ruled child of a table that is truncated")
    func tables() throws {
      let server = try installed(
        """
        \(Self.users); CREATE TABLE visits (id int PRIMARY KEY, user_id bigint REFERENCES users);
        CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
        CREATE UNLOGGED TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
        """)
      let unlogged = try server.cdcd("check", rules: "[{table: parts, keys: ['p:{id}']}]")
      #expect(unlogged.status == 1)
      #expect(
        Self.oneLine(unlogged.output).contains(
          #""public"."parts_1" is unlogged or temporary: its changes are in no log. ALTER TABLE "public"."parts_1" SET LOGGED;"#
        ), "\(unlogged.output)")
      // TRUNCATE users CASCADE names visits only when it is published.
      let child = try server.cdcd(
        "check", rules: "[{table: users, keys: ['u:{id}']}, {table: visits, keys: ['v:{id}']}]")
      #expect(child.status == 1)
      #expect(child.output.contains(#"The publication cdcd lacks "public"."visits"."#), "\(child.output)")
    }

    @Test("replicas that do not count are told, each with its reason, and one that is away exits with 69")
    func replicas() throws {
      let server = try installed()
      let standby = try PostgresServer(standbyOf: server.postgres, named: "standby")
      try standby.start()
      let right = try server.cdcd("check", rules: Self.rules, source: "replicas: ['\(standby.url)']")
      #expect(right.output == Self.allIsRight)
      let other = try PostgresServer(newClusterBeside: server.postgres, named: "other")
      try other.start()
      let stranger = try PostgresServer(standbyOf: other, named: "stranger")
      try stranger.start()
      let list = "replicas: ['\(server.postgres.url)', '\(stranger.url)', '\(standby.url)']"
      let wrong = try server.cdcd("check", rules: Self.rules, source: list)
      #expect(wrong.status == 1)
      #expect(wrong.output.contains("it is not a standby: take it out of source.replicas"))
      #expect(wrong.output.contains("it is a standby of another database cluster"))
      #expect(wrong.output.split(separator: "\n").count == 4, "\(wrong.output)")
      try standby.stop()
      let away = try server.cdcd("check", rules: Self.rules, source: list)
      #expect(away.status == 69)
      #expect(away.output.contains("it is not a standby") && away.output.contains("Connection refused"))
      #expect(away.output.split(separator: "\n").filter { $0.hasPrefix("error: Read replica") }.count == 3)
    }

    /// A finding as the daemon says it: on one line.
    private static func oneLine(_ output: String) -> String {
      output.replacingOccurrences(of: "\n  ", with: " ")
    }

    private func expectToldByDaemon(_ words: String, _ server: SetupServer, port: Int? = nil) throws {
      let daemon = try server.run(rules: Self.rules, port: port)
      try eventually("the daemon is not ready, and says: \(words)") {
        let answer = try daemon.get("/readyz", timeout: .seconds(5))
        guard answer.status == 503, answer.body.contains(words) else {
          throw TimedOut(description: answer.body)
        }
        return true
      }
      #expect(try daemon.process.output.contains(words))
      daemon.process.signal(SIGTERM)
      _ = try daemon.process.waitForExit()
    }
  }
}
