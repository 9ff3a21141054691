import Foundation
import Testing

extension RealServers {
  @Suite struct Tail {
    private struct Line: Decodable {
      struct Rule: Decodable {
        var rule: String
        var keys: [String]
        var reason: String?
      }
      var lsn: String
      var op: String
      var table: String?
      var rules: [Rule]
    }

    private static let schema =
      ExampleTables.schema + """
        CREATE TABLE events (id int, mail text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
        CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
        CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200);
        ALTER TABLE events_1 REPLICA IDENTITY FULL;
        ALTER TABLE events_2 REPLICA IDENTITY FULL;
        """

    private func installation(_ mode: String, settings: [String] = [], start: Bool = false) throws
      -> Installation
    {
      var options = Installation.Options()
      options.mode = mode
      options.schema = Self.schema
      options.rules += "\n  - {table: events, on: [update], keys: ['event:{mail}']}"
      options.rules += "\n  - {messages: true, pattern: 'page:*'}"
      options.postgresSettings = settings
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if start { try installation.startCDCD().waitUntilReady() }
      return installation
    }

    /// Runs it, and waits until it streams.
    private func tail(_ installation: Installation, _ words: String...) throws -> ServerProcess {
      let path = try installation.configuration(
        httpPort: try LoopbackConnection.freePort(), named: "tail.yaml")
      let process = try ServerProcess(
        [CDCDProcess.binary, "tail", "--config", path] + words,
        log: installation.folder.file("tail-\(UUID().uuidString.prefix(8)).log"))
      try eventually("it streams") { try process.output.contains("Streaming from ") }
      return process
    }

    private func lines(_ process: ServerProcess) throws -> [Line] {
      let decoder = JSONDecoder()
      return try process.output.split(separator: "\n").filter { $0.hasPrefix("{") }
        .map { try decoder.decode(Line.self, from: Data($0.utf8)) }
    }

    private func temporarySlots(_ installation: Installation) throws -> Int {
      try installation.postgres.query("SELECT FROM pg_replication_slots WHERE temporary").count
    }

    @Test(
      "its keys are those that the daemon deletes, which runs beside it",
      arguments: Installation.streamingModes)
    func keys(mode: String) throws {
      let installation = try installation(mode, start: true)
      let tail = try tail(installation, "--json")
      let candidates =
        ["user:1", "user:2", "user:email:a", "user:email:b", "order:{7}:item:1", "order:1", "order:2"]
        + ["Item:1:x", "Price:9", "document:1", "event:m", "event:n", "event:o", "user:3", "page:1"]
      for statement in [
        "INSERT INTO users VALUES (1, 'A', 'ada')",
        "BEGIN; UPDATE users SET id = 2, email = 'b'; INSERT INTO order_items VALUES (7, 1); COMMIT",
        "BEGIN; INSERT INTO users VALUES (3); ROLLBACK",
        "INSERT INTO orders VALUES (1, 1, 'new', 1), (2, 1, 'paid', 1)",
        "UPDATE orders SET user_id = 2", "UPDATE orders SET total = 2",
        #"INSERT INTO "Shop"."Line ""Items""" VALUES (1, '9', 'x')"#,
        "INSERT INTO documents VALUES (1, 't', repeat('long', 3000))", "UPDATE documents SET title = 'u'",
        "INSERT INTO events VALUES (1, 'm')", "UPDATE events SET mail = 'n'",
        "UPDATE events SET id = 101, mail = 'o'", "DELETE FROM users",
        "SELECT pg_logical_emit_message(true, 'cdcd', 'key page:1')",
      ] {
        let before = try lines(tail).count
        let gone = try installation.keysGone(of: candidates, after: statement)
        if !statement.contains("ROLLBACK") {
          try eventually("it tells of \(statement)") { try lines(tail).count > before }
        }
        var told: Set<String> = []
        try eventually("it tells of all of \(statement)") {
          told = Set(try lines(tail)[before...].flatMap(\.rules).flatMap(\.keys))
          return told.isSuperset(of: gone)
        }
        #expect(told.intersection(candidates) == Set(gone), "\(statement)")
      }
      tail.signal(SIGINT)
      #expect(try tail.waitForExit() == 0)
      #expect(try installation.cdcd.isReady)
    }

    @Test(
      "the daemon's slot, its publication and Redis stay as they are, and a table without rules is told of",
      arguments: Installation.streamingModes)
    func leavesAlone(mode: String) throws {
      let installation = try installation(mode)
      let state =
        "SELECT slot_name, confirmed_flush_lsn, active FROM pg_replication_slots WHERE NOT temporary"
      let before = try installation.postgres.query(state)
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      let tail = try tail(installation, "--json", "--count", "3")
      if mode == "pgoutput" { try installation.postgres.query("ALTER PUBLICATION cdcd ADD TABLE unruled") }
      for sql in ["INSERT INTO unruled VALUES (1)", "INSERT INTO users VALUES (1)", "TRUNCATE users"] {
        try installation.postgres.query(sql)
      }
      #expect(try tail.waitForExit() == 0)
      let lines = try lines(tail)
      #expect(lines.map(\.op) == ["insert", "insert", "truncate"])
      #expect(lines.map(\.table) == ["public.unruled", "public.users", "public.users"])
      #expect(lines[0].rules.isEmpty)
      #expect(lines[1].rules[0].keys == ["user:1"])
      #expect(lines[2].rules[0].reason == "every key that matches user:*, user:email:* is flushed")
      #expect(try installation.postgres.query(state) == before)
      #expect(try redis("DBSIZE") == .integer(1))
    }

    @Test("its slot goes with it, whatever ends it", Installation.streamOnly)
    func slotGoes() throws {
      let installation = try installation("pgoutput")
      for (signal, status) in [(SIGTERM, 0), (SIGINT, 0), (SIGKILL, -SIGKILL)] as [(Int32, Int32)] {
        let tail = try tail(installation)
        #expect(try temporarySlots(installation) == 1)
        tail.signal(signal)
        #expect(try tail.waitForExit() == status)
        try eventually("its slot is gone") { try temporarySlots(installation) == 0 }
      }
      // Nobody reads any more, and it notices without another change.
      let path = try installation.configuration(httpPort: try LoopbackConnection.freePort())
      let head = try ServerProcess(
        ["/bin/sh", "-c", #""$0" tail --config "$1" | head -n 2"#, CDCDProcess.binary, path],
        log: installation.folder.file("head.log"))
      try eventually("it streams") { try head.output.contains("Streaming from ") }
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a')")
      #expect(try head.waitForExit() == 0)
      let output = try head.output
      #expect(output.hasSuffix("\n  insert public.users\n"), "\(output)")
      try eventually("its slot is gone") { try temporarySlots(installation) == 0 }
    }

    @Test("it stays connected, and confirms what it has printed, so that the server keeps no WAL for it")
    func confirms() throws {
      let installation = try installation("pgoutput")
      let tail = try tail(installation, "--json")
      for number in 1...3 {
        // Longer than wal_sender_timeout in all.
        Thread.sleep(forTimeInterval: 4)
        try installation.postgres.query("INSERT INTO users VALUES (\(number))")
        try eventually("it is told") { try lines(tail).count == number }
        let position = try #require(try lines(tail).last?.lsn)
        try eventually(within: .seconds(5), "it is confirmed") {
          try installation.postgres.value(
            "SELECT bool_and(confirmed_flush_lsn > '\(position)') FROM pg_replication_slots WHERE temporary")
            == "t"
        }
      }
      // A server that ends waits for walsenders whose peers have not confirmed everything.
      try installation.postgres.query("INSERT INTO users VALUES (4)")
      #expect(try installation.postgres.stop() < .seconds(10))
      #expect(try tail.waitForExit() == 69)
      #expect(try lines(tail).count == 4)
    }

    @Test("what is missing is said before it begins, with what mends it")
    func missing() throws {
      let server = try SetupServer(Check.users)
      let unpublished = try server.cdcd("tail", rules: Check.rules)
      #expect(unpublished.status == 1)
      #expect(
        unpublished.output.contains(
          "error: There is no publication cdcd. Without one nothing is streamed.\n  cdcd setup"),
        "\(unpublished.output)")
      #expect(unpublished.output.hasSuffix("Nothing can be streamed without the publication cdcd.\n"))
      let notify = try server.cdcd("tail", rules: Check.rules, source: "mode: notify")
      #expect(notify.status == 1)
      #expect(notify.output.contains("`cdcd explain`"), "\(notify.output)")
      let rule = try server.cdcd("tail", "--rule", "public.user", rules: Check.rules)
      #expect(rule.status == 64)
      #expect(rule.output.contains("The nearest is public.users."), "\(rule.output)")
      try server.postgres.query("CREATE PUBLICATION cdcd FOR TABLE users")
      try server.set("synchronous_standby_names = '\"cdcd tail\"'")
      let standby = try server.cdcd("tail", rules: Check.rules)
      #expect(standby.status == 1)
      #expect(
        standby.output.contains("synchronous_standby_names takes cdcd for a standby"), "\(standby.output)")
      try server.postgres.stop()
      #expect(try server.cdcd("tail", rules: Check.rules).status == 69)
    }

    @Test(
      "a server that has no more slots, or no more walsenders, is told with what mends it",
      arguments: [
        ("max_replication_slots=1", Int32(1), "or drop a slot that nobody uses"),
        ("max_wal_senders=1", Int32(69), "raise max_wal_senders, and restart the server"),
      ])
    func noRoom(setting: String, status: Int32, words: String) throws {
      let server = try SetupServer(Check.users, settings: [setting])
      #expect(try server.cdcd("setup", rules: Check.rules).status == 0)
      let daemon = try server.run(rules: Check.rules)
      try daemon.waitUntilReady()
      let tail = try server.cdcd("tail", rules: Check.rules)
      #expect(tail.status == status)
      #expect(tail.output.contains(words), "\(tail.output)")
      #expect(try daemon.isReady)
    }

    @Test("while a transaction holds up its slot it says which, and can be ended")
    func heldUp() throws {
      let installation = try installation("pgoutput")
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO users VALUES (1)")
      let path = try installation.configuration(httpPort: try LoopbackConnection.freePort())
      func start() throws -> ServerProcess {
        let process = try ServerProcess(
          [CDCDProcess.binary, "tail", "--config", path, "--count", "1"],
          log: installation.folder.file("held-\(UUID().uuidString.prefix(8)).log"))
        try eventually("it says what it waits for") {
          try process.output.contains(
            "the oldest is process \(session.backend) (idle in transaction, cdcd tests)")
        }
        return process
      }
      let ended = try start()
      ended.signal(SIGINT)
      #expect(try ended.waitForExit(within: .seconds(5)) == 0)
      try eventually("the server has noticed") {
        try installation.postgres.query("SELECT FROM pg_replication_slots WHERE temporary").isEmpty
      }
      let tail = try start()
      try session.rows("COMMIT")
      try eventually("it streams") { try tail.output.contains("Streaming from ") }
      try installation.postgres.query("INSERT INTO users VALUES (2)")
      #expect(try tail.waitForExit() == 0)
      let output = try tail.output
      #expect(output.contains("delete user:2  (public.users)"), "\(output)")
      #expect(!output.contains("user:1"))
    }
  }
}
