import Foundation
import Synchronization
import Testing

extension RealServers {
  /// DDL that changes rows without row events (postgres.md, "Row images").
  @Suite struct TableChanges {
    private static let partitions = """
      CREATE TYPE mood AS ENUM ('good', 'bad');
      CREATE VIEW face AS SELECT 1 AS nose;
      CREATE TABLE parts (id int, note text, mood mood, PRIMARY KEY (id)) PARTITION BY RANGE (id);
      CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
      CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
      CREATE TABLE parts_2_1 PARTITION OF parts_2 FOR VALUES FROM (10) TO (20);
      CREATE TABLE parts_3 (id int PRIMARY KEY, note text, mood mood);
      INSERT INTO parts VALUES (1), (11);
      CREATE FUNCTION slice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
      CREATE TABLE bits (id int, note text) PARTITION BY RANGE (id);
      CREATE TABLE bits_1 PARTITION OF bits FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (slice(id));
      CREATE TABLE bits_1_1 PARTITION OF bits_1 FOR VALUES FROM (0) TO (10);
      ALTER TABLE bits_1_1 REPLICA IDENTITY FULL;
      CREATE FOREIGN DATA WRAPPER none;
      CREATE SERVER afar FOREIGN DATA WRAPPER none;
      CREATE FOREIGN TABLE line (id int) SERVER afar;
      CREATE TABLE family (id int, note text);
      CREATE TABLE heir (PRIMARY KEY (id), face face) INHERITS (family, line);
      """

    /// Columns whose types hold an enumeration somewhere within.
    private static let types = """
      CREATE TYPE shade AS ENUM ('light', 'dark');
      CREATE DOMAIN tint AS shade;
      CREATE DOMAIN tone AS tint;
      CREATE TYPE grade AS ENUM ('fine', 'coarse');
      CREATE DOMAIN grades AS grade[];
      CREATE TYPE paper AS (grades grades, weight int);
      CREATE TYPE size AS ENUM ('small', 'large');
      CREATE TYPE sizerange AS RANGE (subtype = size);
      ALTER TABLE users ADD tone tone, ADD papers paper[], ADD sizes sizemultirange;
      """

    private func installation(triggers: Bool = true, retain: String = "2s") throws -> Installation {
      var options = Installation.Options()
      options.retain = retain
      options.schema += Self.partitions + Self.types
      for (table, key) in [("parts", "part"), ("bits", "bit"), ("heir", "heir")] {
        options.rules += "\n  - {table: \(table), keys: ['\(key):{id}']}"
      }
      let installation = try Installation(options, start: false)
      try installation.setUp()
      if !triggers { try installation.dropEventTriggers() }
      try installation.startCDCD().waitUntilReady()
      return installation
    }

    @Test("a Redis that has lost the flush of a table whose change was only seen by a row gets it again")
    func lostFlush() throws {
      let installation = try installation(triggers: false, retain: "60s")
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'ada'), (2, NULL, 'bob')")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      try redis("SET", "user:2", "bob")
      try redis("SAVE")
      try installation.postgres.query("ALTER TABLE users ALTER name TYPE varchar USING upper(name)")
      try installation.postgres.query("UPDATE users SET email = 'x' WHERE id = 1")
      try installation.expectSettled()
      #expect(try !redis.exists("user:2"))
      try installation.redis.kill()
      try installation.redis.start()
      try eventually("the loss is seen") { try installation.cdcd.metric("cdcd_lineage_breaks_total") == 1 }
      try installation.expectSettled()
      #expect(try !installation.redis.client().exists("user:2"))
    }

    /// Statements, each in a transaction of its own, and which of the keys they make stale.
    static let commands: [(sql: [String], gone: [String])] = [
      (["ALTER TABLE users ALTER name TYPE text USING upper(name)"], ["user:1"]),
      (["ALTER TABLE users ADD COLUMN age int DEFAULT 5"], ["user:1"]),
      (["ALTER TABLE parts DETACH PARTITION parts_1"], ["part:1"]),
      (["ALTER TABLE parts DETACH PARTITION parts_1 CONCURRENTLY"], ["part:1"]),
      (
        [
          "INSERT INTO parts_3 VALUES (21)",
          "ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (20) TO (30)",
        ],
        ["part:1"]
      ),
      (["DROP TABLE parts_1"], ["part:1"]),
      (["ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'"], ["part:1"]),
      (["ALTER TYPE shade RENAME VALUE 'dark' TO 'dim'"], ["user:1"]),
      (["ALTER TYPE grade RENAME VALUE 'fine' TO 'good'"], ["user:1"]),
      (["ALTER TYPE paper ADD ATTRIBUTE maker text"], ["user:1"]),
      (["ALTER TYPE size RENAME VALUE 'small' TO 'tiny'"], ["user:1"]),
      (["DROP TABLE parts_2_1"], ["part:1"]),
      (["DROP FUNCTION slice CASCADE"], ["bit:1"]),
      (["ALTER TABLE family ALTER note TYPE text USING note || '!'"], ["heir:1"]),
      (["ALTER FOREIGN TABLE line ADD age int DEFAULT 5"], ["heir:1"]),
      (["CREATE OR REPLACE VIEW face AS SELECT 1 AS nose, 2 AS eyes"], ["heir:1"]),
      (["ALTER TABLE parts_1 ADD CHECK (id >= 0)", "ALTER TABLE parts_1 RENAME TO parts_one"], ["part:1"]),
      (
        [
          "BEGIN; SAVEPOINT a; ALTER TABLE users ADD y int; ROLLBACK TO a; INSERT INTO unruled VALUES (1); COMMIT"
        ], []
      ),
      (["CREATE TABLE parts_4 PARTITION OF parts FOR VALUES FROM (30) TO (40)"], []),
      (
        ["CREATE TEMP TABLE t AS SELECT * FROM users", "ALTER TABLE unruled ADD x int", "VACUUM FULL users"],
        []
      ),
    ]

    @Test(
      "with the event triggers every such command flushes its table, partitions their root",
      arguments: commands)
    func told(sql: [String], gone: [String]) throws {
      let installation = try installation()
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'ada')")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      let keys = ["user:1", "part:1", "bit:1", "heir:1", "order:{1}:item:1"]
      for key in keys { try redis("SET", key, "cached") }
      let session = try installation.postgres.session()
      for statement in sql { try session.rows(statement) }
      // /wait is not satisfied before the flush is done.
      try installation.expectSettled()
      #expect(try keys.filter { try !redis.exists($0) } == gone)
      #expect(try (installation.gaps("table_changed") > 0) == !gone.isEmpty)
    }

    @Test(
      "a dropped ruled table: cdcd says so, the other rules go on, also after a restart, and its keys go at last"
    )
    func droppedTable() throws {
      let installation = try installation()
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      try installation.postgres.query("DROP TABLE users")
      func expectOthersToGoOn(_ id: Int) throws {
        try eventually("cdcd names the table") {
          let answer = try installation.cdcd.get("/readyz")
          return answer.status == 503 && answer.body.contains("does not carry every change of public.users")
        }
        try redis("SET", "document:\(id)", "cached")
        try installation.postgres.query("INSERT INTO documents VALUES (\(id))")
        try installation.expectGone("document:\(id)")
        let position = try installation.postgres.insertPosition()
        #expect(try !installation.cdcd.settles(position, within: .seconds(1)), "/wait speaks for every rule")
      }
      try expectOthersToGoOn(1)
      try installation.stopCDCD()
      try installation.startCDCD()
      try expectOthersToGoOn(2)
      try installation.postgres.query(
        "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text); ALTER TABLE users REPLICA IDENTITY FULL"
      )
      try redis("SET", "user:1", "cached again")
      try installation.setUp()
      try installation.cdcd.waitUntilReady(within: .seconds(90))
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
    }

    @Test(
      "DDL while cdcd is down is told when it comes back; with on_gap: halt again and again until it is accepted"
    )
    func toldLater() throws {
      var options = Installation.Options()
      options.onGap = "halt"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      #expect(try installation.startCDCD().process.waitForExit() == 76)
      let accepted = try installation.startCDCD(with: ["run", "--accept-gap"])
      try accepted.waitUntilReady()
      accepted.process.signal(SIGTERM)
      _ = try accepted.process.waitForExit()
      try installation.postgres.query("ALTER TABLE users ALTER name TYPE text USING upper(name)")
      for _ in 0..<2 {
        let halted = try installation.startCDCD()
        #expect(try halted.process.waitForExit() == 76)
        #expect(try halted.process.output.contains("a ruled table was altered"))
      }
      try installation.startCDCD(with: ["run", "--accept-gap"]).waitUntilReady()
    }

    @Test("without the event triggers, the table's next change tells of it", arguments: [false, true])
    func noticedByTheNextRow(reconnecting: Bool) throws {
      let installation = try installation(triggers: false)
      #expect(try installation.cdcd.process.output.contains("warning There are no event triggers"))
      try installation.postgres.query("INSERT INTO users VALUES (1, NULL, 'ada'), (2, NULL, 'bob')")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      for key in ["user:1", "part:1"] { try redis("SET", key, "cached") }
      try installation.postgres.query("ALTER TABLE users ALTER name TYPE varchar(3) USING upper(name)")
      if reconnecting {
        try installation.postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")
      }
      try installation.postgres.query("UPDATE users SET name = 'x' WHERE id = 2")
      try installation.expectGone("user:1")
      try installation.expectSettled()
      #expect(try redis.exists("part:1"))
      // Known by now.
      try redis("SET", "user:1", "cached")
      try installation.postgres.query("UPDATE users SET name = 'y' WHERE id = 2")
      try installation.expectSettled()
      #expect(try redis.exists("user:1"))
    }

    @Test(
      "a transaction that sees an older catalogue alters or drops what is a part of a ruled table by now",
      arguments: [
        (
          "ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (20) TO (30)", "DROP TABLE parts_3",
          "part:21"
        ),
        (
          "CREATE TABLE late (id int, note text); ALTER TABLE heir INHERIT late",
          "ALTER TABLE late ADD age int DEFAULT 5", "heir:1"
        ),
        (
          "CREATE TYPE shape AS (side int); ALTER TABLE users ADD shape shape",
          "DROP TYPE shape CASCADE", "user:1"
        ),
      ])
    func olderCatalogue(meanwhile: String, command: String, key: String) throws {
      let installation = try installation()
      try installation.postgres.query("INSERT INTO parts_3 VALUES (21)")
      let session = try installation.postgres.session()
      try session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ")
      try session.rows("SELECT FROM unruled")
      try installation.postgres.query(meanwhile)
      try installation.expectSettled()
      try installation.redis.client()("SET", key, "cached")
      try session.rows(command)
      try session.rows("COMMIT")
      try installation.expectSettled()
      #expect(try !installation.redis.client().exists(key))
    }

    @Test("a partition that is made while its DROP waits for another lock")
    func dropWaitsForItsPartition() throws {
      let installation = try installation(triggers: true)
      let redis = try installation.redis.client()
      let holder = try installation.postgres.session()
      try holder.rows("BEGIN; LOCK TABLE unruled IN ACCESS SHARE MODE")
      let dropped = Mutex(false)
      Thread.detachNewThread {
        _ = try? installation.postgres.query("DROP TABLE unruled, parts_9")
        dropped.withLock { $0 = true }
      }
      try eventually("the DROP waits") {
        try installation.postgres.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "1"
      }
      try installation.postgres.query(
        "CREATE TABLE parts_9 PARTITION OF parts FOR VALUES FROM (90) TO (99); INSERT INTO parts VALUES (91)")
      try installation.expectSettled()
      try redis("SET", "part:91", "cached")
      try holder.rows("COMMIT")
      try eventually("the DROP is done") { dropped.withLock { $0 } }
      try installation.expectSettled()
      #expect(try !redis.exists("part:91"))
    }

    @Test("in such a transaction temporary tables are nobody's concern")
    func temporaryTable() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      let session = try installation.postgres.session()
      try session.rows("SET default_transaction_isolation = 'serializable'")
      for statement in [
        "CREATE TEMP TABLE t AS SELECT 1 AS id", "ALTER TABLE t ADD note text", "ALTER TABLE t DROP id",
        "CREATE TABLE plain AS SELECT 1 AS id", "DROP TABLE t",
      ] { try session.rows(statement) }
      try installation.expectSettled()
      #expect(try redis.exists("user:1"))
    }

    @Test("/wait answers while a session alters tables without a pause")
    func ceaselessChanges() throws {
      let installation = try installation()
      let isDone = Mutex(false)
      let count = Mutex(0)
      Thread.detachNewThread {
        guard let session = try? installation.postgres.session() else { return }
        while !isDone.withLock({ $0 }) {
          if (try? session.rows("ALTER TABLE unruled ALTER id SET DEFAULT 1")) == nil { return }
          count.withLock { $0 += 1 }
        }
      }
      defer { isDone.withLock { $0 = true } }
      for id in 1...3 {
        try installation.postgres.query("INSERT INTO users VALUES (\(id))")
        let position = try installation.postgres.insertPosition()
        #expect(try installation.cdcd.settles(position, within: .seconds(5)))
      }
      #expect(count.withLock { $0 } > 100)
    }

    @Test("messages of others are no gap; one of the event triggers' that cannot be read flushes every rule")
    func messages() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      let session = try installation.postgres.session()
      for key in ["user:1", "part:1", "unrelated"] { try redis("SET", key, "cached") }
      for transactional in [true, false] {
        try session.rows("SELECT pg_logical_emit_message(\(transactional), 'app', 'hello')")
        try session.rows("SELECT pg_logical_emit_message(\(transactional), 'cdcd', 'key user:1')")
        try session.rows(
          #"SELECT pg_logical_emit_message(\#(transactional), 'cdcd.ddl', E'ALTER TABLE\n"public"."nowhere"')"#
        )
      }
      try session.rows("BEGIN; SELECT pg_logical_emit_message(true, 'cdcd.ddl', 'x'); ROLLBACK")
      try installation.expectSettled()
      #expect(try redis.exists("user:1") && redis.exists("part:1"))
      try session.rows("SELECT pg_logical_emit_message(true, 'cdcd.ddl', 'ALTER TABLE users')")
      try installation.expectSettled()
      #expect(try installation.gaps("malformed_message") == 1)
      #expect(try !redis.exists("user:1") && !redis.exists("part:1"))
      #expect(try redis.exists("unrelated"))
    }

    @Test("a column that a rule names is renamed: the rule's keys are flushed, and cdcd says what to mend")
    func renamedColumn() throws {
      let installation = try installation()
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a@example.org', 'ada')")
      try installation.expectSettled()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      try installation.postgres.query("ALTER TABLE users RENAME COLUMN email TO mail")
      try installation.expectGone("user:1")
      // The flush that is still open would cover what comes next.
      try installation.expectSettled()
      try redis("SET", "user:1", "cached")
      try installation.postgres.query("UPDATE users SET name = 'x'")
      try installation.expectGone("user:1")
      try eventually("the row that lacks a column is counted") {
        try installation.gaps("incomplete_row") == 1
      }
      try eventually("cdcd names the column") {
        let answer = try installation.cdcd.get("/readyz")
        return answer.status == 503 && answer.body.contains(#"has no column "email"; mend the rule"#)
      }
    }
  }
}
