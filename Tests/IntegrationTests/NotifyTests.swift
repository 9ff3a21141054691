import Foundation
import Testing

extension RealServers {
  /// The outbox: what is so with `source.mode: notify` alone.
  @Suite struct Notify {
    private func installation(
      start: Bool = true, _ adjust: (inout Installation.Options) -> Void = { _ in }
    ) throws -> Installation {
      var options = Installation.Options()
      options.mode = "notify"
      adjust(&options)
      return try Installation(options, start: start)
    }

    private static let script = Result {
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      return try String(contentsOf: root.appendingPathComponent("sql/outbox.sql"), encoding: .utf8)
    }

    private static let ddlTriggers = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("sql/ddl-triggers.sql")
      .path

    private func rowsInOutbox(_ installation: Installation) throws -> String {
      try installation.postgres.value("SELECT count(*) FROM cdcd.outbox")
    }

    @Test(
      "wal_level = replica, and a role with the rights that sql/outbox.sql names: no replication, no ownership"
    )
    func leastPrivileges() throws {
      let installation = try installation(start: false) { $0.postgresSettings = ["wal_level=replica"] }
      try installation.setUp()
      try installation.postgres.query("CREATE ROLE daemon LOGIN; " + (try grants(to: "daemon")))
      installation.setSource(
        installation.postgres.url.replacingOccurrences(of: "postgres@", with: "daemon@"))
      try installation.startCDCD().waitUntilReady()
      #expect(
        try installation.keysGone(of: ["user:1", "user:2"], after: "INSERT INTO users VALUES (1)")
          == ["user:1"])
      try eventually("the outbox is empty") { try rowsInOutbox(installation) == "0" }
    }

    private func grants(to role: String) throws -> String {
      try Self.script.get().split(separator: "\n").filter { $0.contains("TO \(role);") }
        .map { $0.drop { "- ".contains($0) } }.joined(separator: " ")
    }

    @Test("who names keys needs the rights that sql/outbox.sql names, and none on the outbox")
    func leastPrivilegesOfApplications() throws {
      let installation = try installation()
      try installation.postgres.query("CREATE ROLE application LOGIN")
      let application = try PostgresClient(port: installation.postgres.port, user: "application")
      let call = "SELECT cdcd.invalidate('user:1')"
      try installation.postgres.query("GRANT USAGE ON SCHEMA cdcd TO application")
      #expect(throws: PostgresClient.ServerError.self) { try application.rows(call) }
      try installation.postgres.query(try grants(to: "application"))
      try application.rows(call)
      #expect(throws: PostgresClient.ServerError.self) { try application.rows("SELECT FROM cdcd.outbox") }
    }

    @Test("an outbox of before cdcd.invalidate is told, renewed, and its function is the outbox's owner's")
    func olderOutbox() throws {
      let installation = try installation()
      try installation.postgres.query(
        """
        DROP FUNCTION cdcd.invalidate(text[]); COMMENT ON TABLE cdcd.outbox IS 'cdcd 1';
        CREATE ROLE maker; ALTER TABLE cdcd.outbox OWNER TO maker
        """)
      let check = try installation.command("check")
      #expect(check.status == 1 && check.output.contains("no outbox of this version"), "\(check.output)")
      try installation.setUp()
      #expect(
        try installation.postgres.value(
          "SELECT proowner::regrole FROM pg_proc WHERE oid = 'cdcd.invalidate(text[])'::regprocedure")
          == "maker")
      let again = try installation.command("check")
      #expect(!again.output.contains("no outbox of this version"), "\(again.output)")
    }

    @Test("NOTIFY keeps a transaction from being prepared; with source.wakeup: poll it can be")
    func preparedTransactions() throws {
      let installation = try installation {
        $0.postgresSettings = ["max_prepared_transactions=5"]
        $0.wakeup = "poll"
      }
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "cached")
      let session = try installation.postgres.session()
      try session.rows("BEGIN; INSERT INTO users VALUES (1); PREPARE TRANSACTION 'two'")
      try installation.expectSettled()
      #expect(try redis.exists("user:1"))
      try session.rows("COMMIT PREPARED 'two'")
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
      // Once more, it leaves what was set up.
      try session.rows(try Self.script.get())
      try session.rows("BEGIN; INSERT INTO users VALUES (2); PREPARE TRANSACTION 'three'")
      try session.rows("COMMIT PREPARED 'three'")
      try session.rows("DROP FUNCTION cdcd.wake()")
      try session.rows(try Self.script.get())
      #expect(throws: PostgresClient.ServerError.self) {
        try session.rows("BEGIN; INSERT INTO users VALUES (3); PREPARE TRANSACTION 'four'")
      }
      let check = try installation.command("check")
      #expect(check.status == 1 && check.output.contains("source.wakeup is poll"), "\(check.output)")
    }

    @Test("what is written while Redis or cdcd is away stays in the outbox, and is deleted afterwards")
    func outages() throws {
      let installation = try installation()
      try installation.redis.stop()
      try installation.postgres.query("INSERT INTO users SELECT n FROM generate_series(1, 3000) n")
      #expect(try rowsInOutbox(installation) != "0")
      try installation.redis.start()
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      try eventually("the outbox is empty") { try rowsInOutbox(installation) == "0" }

      try installation.cdcd.process.signal(SIGKILL)
      _ = try installation.cdcd.process.waitForExit()
      let redis = try installation.redis.client()
      for id in [1, 3000, 3001] { try redis("SET", "user:\(id)", "cached") }
      try installation.postgres.query("DELETE FROM users")
      try installation.startCDCD().waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("user:1") && !redis.exists("user:3000"))
      #expect(try redis.exists("user:3001"))
    }

    @Test("a statement of 100,000 rows, and transactions that end in another order than they began")
    func manyRows() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      for id in [1, 50_000, 100_000, 200_000] { try redis("SET", "user:\(id)", "cached") }
      let early = try installation.postgres.session()
      try early.rows("BEGIN; INSERT INTO users VALUES (200000)")
      try installation.postgres.query("INSERT INTO users SELECT n FROM generate_series(1, 100000) n")
      try installation.expectSettled()
      #expect(try [1, 50_000, 100_000].allSatisfy { try !redis.exists("user:\($0)") })
      #expect(try redis.exists("user:200000"))
      try early.rows("COMMIT")
      try installation.expectSettled()
      #expect(try !redis.exists("user:200000"))
      try eventually("the outbox is empty") { try rowsInOutbox(installation) == "0" }
    }

    @Test("what a crash takes back of a removal is read once more")
    func crashBehindARemoval() throws {
      // Nothing but a commit that waits for it writes the WAL within this test.
      let installation = try installation { $0.postgresSettings = ["wal_writer_delay=10s"] }
      let redis = try installation.redis.client()
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try eventually("the row is removed") { try rowsInOutbox(installation) == "0" }
      let cdcd = try installation.cdcd
      cdcd.process.signal(SIGSTOP)
      defer { cdcd.process.signal(SIGCONT) }
      try redis("SET", "user:1", "cached")
      try installation.postgres.restart(.immediate)
      #expect(try rowsInOutbox(installation) == "1")
      cdcd.process.signal(SIGCONT)
      try eventually("its key is deleted again") { try !redis.exists("user:1") }
      try installation.expectSettled()
      try eventually("the outbox is empty again") { try rowsInOutbox(installation) == "0" }
    }

    @Test("a read does not visit what was removed, though nobody vacuums")
    func removedRows() throws {
      let installation = try installation { $0.postgresSettings = ["autovacuum=off"] }
      let postgres = installation.postgres
      func count(_ column: String, of view: String) throws -> Int {
        let ofOutbox = "schemaname = 'cdcd' AND relname = 'outbox'"
        return try #require(Int(try postgres.value("SELECT \(column) FROM \(view) WHERE \(ofOutbox)")))
      }
      try installation.expectSettled()
      let scans = try count("seq_scan", of: "pg_stat_user_tables")
      let commits = 2_000
      try postgres.query(
        """
        DO $$ BEGIN
          FOR n IN 1..\(commits) LOOP INSERT INTO users VALUES (n); COMMIT; PERFORM pg_sleep(0.001); END LOOP;
        END $$
        """)
      try installation.expectSettled()
      try eventually("the outbox is empty, and that is counted") {
        try count("n_tup_del", of: "pg_stat_user_tables") >= commits
      }
      #expect(try count("seq_scan", of: "pg_stat_user_tables") == scans)
      #expect(try count("idx_tup_read", of: "pg_stat_user_indexes") < 10 * commits)
    }

    @Test("a second cdcd waits for the lock, and takes over within seconds when the first one is frozen")
    func standby() throws {
      let installation = try installation()
      let first = try installation.cdcd
      let second = try installation.startCDCD(named: "second")
      try eventually("the second one waits") {
        try second.process.output.contains("another cdcd reads the outbox")
      }
      first.process.signal(SIGSTOP)
      defer { first.process.signal(SIGCONT) }
      try second.waitUntilReady()
      #expect(try installation.keysGone(of: ["user:1"], after: "INSERT INTO users VALUES (1)") == ["user:1"])
    }

    @Test("a Redis that lost deletes is flushed, since what was removed comes from nowhere again")
    func lineageBreak() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try redis("SET", "user:1", "stale")
      try redis("SAVE")
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try installation.expectSettled()
      try eventually("the outbox is empty") { try rowsInOutbox(installation) == "0" }
      #expect(try !redis.exists("user:1"))
      try installation.redis.kill()
      try installation.redis.start()
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !installation.redis.client().exists("user:1"))
      #expect(try installation.gaps("watermark_behind_slot") == 1)
    }

    @Test("what goes wrong in a trigger does not fail the application's statement, and flushes")
    func triggerNeverFails() throws {
      let installation = try installation(start: false)
      try installation.setUp()
      try installation.dropEventTriggers()
      try installation.startCDCD().waitUntilReady()
      // The e-mail address is gone for the triggers as well.
      #expect(
        try installation.keysGone(
          of: ["user:1", "user:9", "document:1"],
          after: "ALTER TABLE users DROP COLUMN email; INSERT INTO users VALUES (1, 'ada')") == [
            "user:1", "user:9",
          ])
    }

    @Test(
      "triggers that are switched off, or missing on a partition: not ready until they are mended, and flushed"
    )
    func missingTriggers() throws {
      let installation = try installation(start: false) {
        $0.schema +=
          "CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id);"
          + "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);"
        $0.rules += "\n  - {table: events, keys: ['event:{id}']}"
      }
      try installation.setUp()
      let redis = try installation.redis.client()
      try installation.startCDCD().waitUntilReady()
      for (breaking, remedy) in [
        ("ALTER TABLE events_1 DISABLE TRIGGER USER", "SELECT cdcd.attach('events')"),
        (
          "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200)",
          "SELECT cdcd.attach('events')"
        ),
      ] {
        // With the event triggers it is mended at once.
        try installation.postgres.query(
          "ALTER EVENT TRIGGER cdcd_altered DISABLE; \(breaking); ALTER EVENT TRIGGER cdcd_altered ENABLE ALWAYS"
        )
        // Once a minute cdcd looks by itself.
        try installation.postgres.query("SELECT cdcd.tell('LOOK', 'catalogue')")
        try installation.expectNotReady(because: "every change of public.events")
        try redis("SET", "event:7", "cached")
        try installation.postgres.query("INSERT INTO events_1 VALUES (7) ON CONFLICT DO NOTHING; \(remedy)")
        try installation.cdcd.waitUntilReady()
        try installation.expectSettled()
        #expect(try !redis.exists("event:7"), "\(breaking)")
      }
    }

    @Test("setup installs what sql/outbox.sql does, once, and tells of tables that no rule is about")
    func setup() throws {
      let installation = try installation(start: false)
      let planned = try installation.command("setup", "--dry-run")
      #expect(planned.output.contains(try Self.script.get()))
      try installation.postgres.query(planned.output)
      #expect(try installation.command("setup").output == "Nothing is missing.\n")
      #expect(try installation.command("check").status == 0)
      installation.setRules("- {table: users, keys: ['user:{id}:{name}']}")
      let more = try installation.command("check")
      #expect(more.status == 1)
      #expect(
        more.output.contains("cdcd.watch('\"public\".\"users\"', ARRAY['id', 'name']::text[])"),
        "\(more.output)")
      #expect(more.output.contains("cdcd.unwatch('public.orders')"), "\(more.output)")
    }

    @Test("without an outbox it says what to run, and goes on when it is there")
    func noOutbox() throws {
      let installation = try installation(start: false)
      let cdcd = try installation.startCDCD()
      try eventually("it says so") { try cdcd.process.output.contains("run `cdcd setup`") }
      try installation.setUp()
      try cdcd.waitUntilReady()
    }

    @Test("a commit that hangs holds nobody up, and is deleted when it can be seen")
    func hangingCommit() throws {
      // NOTIFY would have each commit wait for the one before it, and for that one's standby.
      let installation = try installation { $0.wakeup = "poll" }
      let redis = try installation.redis.client()
      for id in 1...2 { try redis("SET", "user:\(id)", "cached") }
      let session = try installation.postgres.session()
      try session.rows("ALTER SYSTEM SET synchronous_standby_names = 'ghost'")
      try session.rows("SELECT pg_reload_conf()")
      let held = try installation.postgres.session()
      try held.begin("INSERT INTO users VALUES (1)")
      try eventually("the commit waits for the standby") {
        try session.value(
          "SELECT coalesce(max(wait_event), '') FROM pg_stat_activity WHERE pid = \(held.backend)")
          == "SyncRep"
      }
      try session.rows("BEGIN; SET LOCAL synchronous_commit = local; INSERT INTO users VALUES (2); COMMIT")
      try installation.expectSettled()
      #expect(try !redis.exists("user:2"))
      #expect(try redis.exists("user:1"), "nobody sees it")
      try session.rows("ALTER SYSTEM RESET synchronous_standby_names")
      try session.rows("SELECT pg_reload_conf()")
      _ = try held.receiveAnswer()
      try installation.expectSettled()
      #expect(try !redis.exists("user:1"))
    }

    @Test(
      "keys that move from row to row in one statement: what changed is told by the row, and not by the key")
    func movedKeys() throws {
      let installation = try installation {
        $0.schema +=
          "CREATE TABLE items (list int, place int, item text, PRIMARY KEY (list, place) DEFERRABLE);"
          + "INSERT INTO items VALUES (1, 1, 'a'), (1, 2, 'b'), (1, 3, 'c');"
        $0.rules += "\n  - {table: items, when_changed: [place], keys: ['item:{item}']}"
      }
      let keys = ["a", "b", "c", "d"].map { "item:" + $0 }
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE items SET place = place + 1")
          == Array(keys.prefix(3)))
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE items SET place = 6 - place")
          == ["item:a", "item:c"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE items SET list = 2 WHERE item = 'a'") == ["item:a"]
      )
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE items SET item = 'd' WHERE item = 'b'") == [])
    }

    @Test("another primary key than the triggers know: not ready until they are made anew")
    func renamedKey() throws {
      let installation = try installation()
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a', 'x'), (2, 'b', 'y')")
      try installation.expectSettled()
      installation.setRules("- {table: users, keys: ['mail:{email}']}")
      try installation.stopCDCD()
      try installation.setUp()
      try installation.startCDCD().waitUntilReady()
      try installation.postgres.query("ALTER TABLE users RENAME id TO number")
      try installation.expectNotReady(because: "every change of public.users")
      #expect(try installation.command("setup").output.contains("cdcd.watch"))
      try installation.cdcd.waitUntilReady()
      #expect(
        try installation.keysGone(
          of: ["mail:a", "mail:b", "mail:c"], after: "UPDATE users SET email = 'c' WHERE number = 1")
          == ["mail:a", "mail:c"])
    }

    @Test("a table of another name than the triggers know: not ready until they are made anew, and flushed")
    func renamedTable() throws {
      let installation = try installation()
      let redis = try installation.redis.client()
      try installation.stopCDCD()
      try installation.postgres.query(
        "ALTER TABLE users RENAME TO old; ALTER TABLE documents RENAME TO users; ALTER TABLE old RENAME TO documents"
      )
      installation.setRules(
        "- {table: users, keys: ['user:{id}']}\n- {table: documents, keys: ['document:{id}']}")
      try installation.startCDCD()
      try installation.expectNotReady(because: "every change of public.documents, public.users")
      try installation.postgres.query("INSERT INTO users VALUES (7, 'title', 'body')")
      for key in ["user:7", "document:7"] { try redis("SET", key, "cached") }
      #expect(try installation.command("check").output.contains("cdcd.watch"))
      try installation.setUp()
      try installation.cdcd.waitUntilReady()
      try installation.expectSettled()
      #expect(try !redis.exists("user:7"))
      #expect(
        try installation.keysGone(of: ["user:8", "document:8"], after: "INSERT INTO users VALUES (8)") == [
          "user:8"
        ])
    }

    @Test("rows of large values come in portions")
    func largeValues() throws {
      let installation = try installation {
        $0.rules = "- {table: documents, keys: ['document:{id}'], when_changed: [body]}"
      }
      #expect(
        try installation.keysGone(
          of: ["document:1", "document:60", "document:61"],
          after: "INSERT INTO documents SELECT n, '', repeat('x', 300000) FROM generate_series(1, 60) n")
          == ["document:1", "document:60"])
      let session = try installation.postgres.session()
      try installation.stopCDCD()
      try session.rows("DELETE FROM documents")
      let largest = try session.value("SELECT max(size) FROM cdcd.outbox")
      #expect(Int(largest) ?? .max < 2 << 20)
      #expect(Int(try session.value("SELECT count(*) FROM cdcd.outbox")) ?? 0 > 10)
    }

    @Test("an outbox is its database's own: two of a cluster have a watermark each in the same Redis")
    func twoDatabases() throws {
      let installation = try installation()
      try installation.postgres.query("CREATE DATABASE other")
      let session = try PostgresClient(port: installation.postgres.port, database: "other")
      try session.rows(ExampleTables.schema)
      let first = try installation.cdcd
      installation.setSource(installation.postgres.url.dropLast("postgres".count) + "other")
      try installation.setUp()
      let second = try installation.startCDCD(named: "second")
      try second.waitUntilReady()
      try installation.postgres.query("INSERT INTO users VALUES (1)")
      try session.rows("INSERT INTO users VALUES (2)")
      let position = try installation.postgres.insertPosition()
      for cdcd in [first, second] {
        #expect(try cdcd.settles(position, within: .seconds(20)))
        #expect(try cdcd.metric("cdcd_lineage_breaks_total") == 0)
      }
    }

    @Test("a primary key over texts of two collations")
    func collations() throws {
      let installation = try installation {
        $0.schema +=
          #"CREATE TABLE texts (a text COLLATE "C", b text COLLATE "POSIX", v text, PRIMARY KEY (a, b));"#
          + "INSERT INTO texts VALUES ('x', 'y', 'z');"
        $0.rules += "\n  - {table: texts, keys: ['text:{a}:{v}']}"
      }
      #expect(
        try installation.keysGone(
          of: ["text:x:z", "text:x:w", "text:q:z"], after: "UPDATE texts SET v = 'w'")
          == ["text:x:z", "text:x:w"])
    }

    @Test("a table that inherits is refused, since statements on its parent do not fire its triggers")
    func inheritance() throws {
      let installation = try installation(start: false) {
        $0.schema += "CREATE TABLE child () INHERITS (users);"
        $0.rules += "\n  - {table: child, keys: ['child:{id}']}"
      }
      let setup = try installation.command("setup")
      #expect(setup.status == 1 && setup.output.contains("inherits from another table"), "\(setup.output)")
    }

    @Test("DDL of the application does not fail where a partition cannot be given its triggers")
    func attachmentThatCannotBeDone() throws {
      let installation = try installation {
        $0.schema +=
          "CREATE TABLE referred (id int PRIMARY KEY); INSERT INTO referred VALUES (1);"
          + "CREATE TABLE events (id int NOT NULL, r int) PARTITION BY RANGE (id);"
        $0.rules += "\n  - {table: events, keys: ['event:{id}']}"
      }
      try installation.postgres.query(
        """
        BEGIN;
        CREATE TABLE events_1 (id int NOT NULL, r int REFERENCES referred DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO events_1 VALUES (11, 1);
        ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (10) TO (20);
        COMMIT
        """)
      try installation.expectNotReady(because: "every change of public.events")
      try installation.setUp()
      try installation.cdcd.waitUntilReady()
      #expect(try installation.keysGone(of: ["event:11"], after: "DELETE FROM events_1") == ["event:11"])
    }

    @Test("event triggers of a superuser run nothing that the owner of the outbox could have replaced")
    func ownersOfTheOutbox() throws {
      let installation = try installation(start: false)
      let session = try installation.postgres.session()
      try session.rows(
        """
        CREATE ROLE owner LOGIN; GRANT CREATE ON DATABASE postgres TO owner; ALTER SCHEMA "Shop" OWNER TO owner;
        DO $$ DECLARE t regclass; BEGIN
          FOR t IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', '"Shop"')
          LOOP EXECUTE 'ALTER TABLE ' || t || ' OWNER TO owner'; END LOOP;
        END $$
        """)
      let superuser = installation.postgres.url
      installation.setSource(superuser.replacingOccurrences(of: "postgres@", with: "owner@"))
      let printed = try installation.command("setup")
      #expect(
        printed.status == 0 && printed.output.contains("A superuser has to run this"), "\(printed.output)")
      let owner = try PostgresClient(port: installation.postgres.port, user: "owner")
      try owner.rows(
        """
        CREATE OR REPLACE FUNCTION cdcd.wake() RETURNS void LANGUAGE plpgsql AS
          $$ BEGIN EXECUTE 'ALTER ROLE owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END $$;
        CREATE FUNCTION cdcd.evil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM cdcd.wake(); RETURN NEW; END $$;
        CREATE TRIGGER evil BEFORE INSERT ON cdcd.outbox FOR EACH ROW EXECUTE FUNCTION cdcd.evil();
        CREATE FUNCTION cdcd.tell(text, text) RETURNS void LANGUAGE sql AS 'SELECT cdcd.wake()'
        """)
      let triggers = try CommandResult.of(
        ["/bin/cat", Self.ddlTriggers], in: installation.folder
      ).output
      try session.rows(triggers)
      try owner.rows(
        "ALTER TABLE users SET (fillfactor = 90); CREATE TABLE cdcd.more (LIKE users); DROP TABLE cdcd.more")
      #expect(try session.value("SELECT rolsuper FROM pg_roles WHERE rolname = 'owner'") == "f")
      #expect(throws: PostgresClient.ServerError.self) {
        try owner.rows("DROP FUNCTION cdcd.tell(text, text)")
      }
      // Who made the outbox still says who may read it.
      try session.rows("CREATE ROLE daemon")
      try owner.rows("GRANT USAGE ON SCHEMA cdcd TO daemon")
      #expect(try session.value("SELECT has_schema_privilege('daemon', 'cdcd', 'USAGE')") == "t")
      let check = try installation.command("check")
      #expect(check.output.contains("do not tell the outbox of DDL"), "\(check.output)")
    }
  }
}
