import Foundation
import Testing

extension RealServers {
  /// What cdcd takes for granted of PostgreSQL, shown on PostgreSQL alone.
  @Suite struct PostgresFacts {
    private func makeServer(_ schema: String, _ settings: String...) throws -> PostgresServer {
      let server = try PostgresServer(in: try TemporaryFolder(), settings: settings)
      try server.start()
      try server.query("SET synchronous_commit = local; " + schema)
      return server
    }

    /// A publication `p` of all that there is now, and a slot `s`.
    private static let stream = "SELECT pg_create_logical_replication_slot('s', 'pgoutput')"

    /// The row and TRUNCATE messages in the slot: `I`, `U` and `D`, with `K` or `O` for an old row and its kind, and
    /// `T` with the number of its tables.
    private func messages(_ server: PostgresServer) throws -> String {
      try server.value(
        """
        SELECT coalesce(string_agg(type || CASE WHEN type IN ('U', 'D') THEN replace(chr(get_byte(data, 5)), 'N', '')
            WHEN type = 'T' THEN get_byte(data, 4)::text ELSE '' END, ' '), '')
        FROM (SELECT chr(get_byte(data, 0)) AS type, data FROM pg_logical_slot_peek_binary_changes(
            's', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')) AS messages
        WHERE type IN ('I', 'U', 'D', 'T')
        """)
    }

    @Test(
      "an update carries the old key only when the key changes; with FULL the whole old row",
      arguments: [
        ("", "U UK DK"), ("ALTER TABLE t REPLICA IDENTITY FULL;", "UO UO DO"),
        ("ALTER TABLE t REPLICA IDENTITY USING INDEX u;", "U U DK"),
      ])
    func oldRows(identity: String, expected: String) throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY, other int NOT NULL CONSTRAINT u UNIQUE, note text);
        INSERT INTO t VALUES (1, 1, 'a'); \(identity) CREATE PUBLICATION p FOR TABLE t
        """)
      try server.query(Self.stream)
      try server.query("UPDATE t SET note = 'b'; UPDATE t SET id = 2; DELETE FROM t")
      #expect(try messages(server) == expected)
    }

    @Test("once its table is published without an identity, the application's own UPDATE fails")
    func noIdentity() throws {
      let server = try makeServer("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
      try server.query("UPDATE t SET id = 2; CREATE PUBLICATION p FOR TABLE t")
      for statement in ["UPDATE t SET id = 3", "DELETE FROM t"] {
        // object_not_in_prerequisite_state
        let error = #expect(throws: PostgresClient.ServerError.self) { try server.query(statement) }
        #expect(error?.code == "55000" && error?.message.contains("replica identity") == true)
      }
      try server.query("INSERT INTO t VALUES (4)")
    }

    @Test(
      "wal2json leaves an unchanged TOAST value out, and drops TRUNCATE in its format 1",
      .enabled(if: PostgresServer.hasWal2json, "there is no wal2json for this PostgreSQL"))
    func wal2json() throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY, body text, note text); ALTER TABLE t ALTER body SET STORAGE EXTERNAL;
        INSERT INTO t VALUES (1, repeat('x', 10000), 'a')
        """)
      try server.query("SELECT pg_create_logical_replication_slot('j', 'wal2json')")
      try server.query("UPDATE t SET note = 'b'; TRUNCATE t")
      func changes(_ format: String) throws -> [String] {
        try server.query(
          "SELECT data FROM pg_logical_slot_peek_changes('j', NULL, NULL, 'format-version', '\(format)', 'actions', 'insert,update,delete,truncate')"
        ).compactMap { $0[0] }
      }
      let update = try #require(try changes("2").first { $0.contains(#""action":"U""#) })
      #expect(update.contains("note") && !update.contains("body"), "\(update)")
      #expect(try changes("2").contains { $0.contains(#""action":"T""#) })
      #expect(try !changes("1").contains { $0.contains("truncate") })
    }

    @Test("TRUNCATE CASCADE lists published tables alone; what a foreign key deletes comes row by row")
    func cascades() throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE told (id int PRIMARY KEY REFERENCES t ON DELETE CASCADE);
        CREATE TABLE untold (id int PRIMARY KEY REFERENCES t); CREATE PUBLICATION p FOR TABLE t, told;
        INSERT INTO t VALUES (1), (2), (3); INSERT INTO told VALUES (1), (2); INSERT INTO untold VALUES (3)
        """)
      try server.query(Self.stream)
      try server.query("DELETE FROM t WHERE id < 3")
      #expect(try messages(server) == "DK DK DK DK")
      try server.query("TRUNCATE t CASCADE")
      #expect(try server.value("SELECT count(*) FROM untold") == "0")
      #expect(try messages(server) == "DK DK DK DK T2")
    }

    @Test(
      "a row filter, and a column list, hide changes",
      .enabled(if: PostgresServer.version >= 15, "there is neither before"))
    func filters() throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY, note text); CREATE TABLE c (id int PRIMARY KEY, secret text);
        CREATE PUBLICATION p FOR TABLE t WHERE (id > 5), c (id)
        """)
      try server.query(Self.stream)
      try server.query("INSERT INTO t VALUES (1, 'a'), (6, 'b'); INSERT INTO c VALUES (1, 'hidden')")
      #expect(try messages(server) == "I I")
      #expect(try !contains(server, "hidden"))
    }

    @Test("a slot that is made while a commit hangs waits for it, and never streams it")
    func stuckBeforeTheSlot() throws {
      let server = try makeServer("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      func setStandby(_ name: String) throws {
        try server.query("ALTER SYSTEM SET synchronous_standby_names = '\(name)'")
        try server.query("SELECT pg_reload_conf()")
        try eventually("it is in force") { try server.value("SHOW synchronous_standby_names") == name }
      }
      func expectWait(_ session: PostgresClient, for event: String) throws {
        try eventually("it waits: \(event)") {
          try server.value("SELECT wait_event FROM pg_stat_activity WHERE pid = \(session.backend)") == event
        }
      }
      try setStandby("ghost")
      let hanging = try server.session()
      try hanging.begin("INSERT INTO t VALUES (1)")
      try expectWait(hanging, for: "SyncRep")
      let maker = try server.session()
      try maker.begin(Self.stream)
      try expectWait(maker, for: "transactionid")
      #expect(try server.value("SELECT count(*) FROM t") == "0")
      try setStandby("")
      _ = try hanging.receiveAnswer()
      // It goes on when the WAL tells again which transactions run, which a quiet server leaves to the next checkpoint.
      try eventually("the slot is made") {
        try server.query("CHECKPOINT")
        return try server.value("SELECT count(confirmed_flush_lsn) FROM pg_replication_slots") == "1"
      }
      _ = try maker.receiveAnswer()
      #expect(try server.value("SELECT count(*) FROM t") == "1")
      #expect(try messages(server) == "")
    }

    @Test("a generated column is not published by itself")
    func generatedColumns() throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY, note text, folded text GENERATED ALWAYS AS (upper(note)) STORED);
        CREATE PUBLICATION p FOR TABLE t
        """)
      try server.query(Self.stream)
      try server.query("INSERT INTO t VALUES (1, 'ada')")
      #expect(try contains(server, "ada"))
      #expect(try !contains(server, "ADA"))
    }

    /// Whether a message in the slot has the text.
    private func contains(_ server: PostgresServer, _ text: String) throws -> Bool {
      try server.value(
        """
        SELECT coalesce(bool_or(position('\(text)'::bytea IN data) > 0), false) FROM pg_logical_slot_peek_binary_changes(
            's', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')
        """) == "t"
    }

    @Test(
      "these change what readers see, and no message tells of it",
      arguments: [
        "ALTER TABLE t ALTER note TYPE text USING 'changed'", "ALTER TABLE t DETACH PARTITION a",
        "DROP TABLE a", "ALTER TABLE t ADD more text DEFAULT 'changed'",
      ])
    func silentDDL(statement: String) throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
        CREATE TABLE a PARTITION OF t FOR VALUES FROM (0) TO (10); INSERT INTO t VALUES (1, 'a');
        CREATE PUBLICATION p FOR TABLE t
        """)
      try server.query(Self.stream)
      let before = try server.query("SELECT * FROM t")
      try server.query(statement)
      #expect(try server.query("SELECT * FROM t") != before)
      #expect(try messages(server) == "")
    }

    @Test(
      "a publication that was made after a change cannot decode it", .enabled(if: PostgresServer.version < 18)
    )
    func latePublication() throws {
      let server = try makeServer("CREATE TABLE t (id int PRIMARY KEY)")
      try server.query(Self.stream)
      try server.query("INSERT INTO t VALUES (1)")
      try server.query("CREATE PUBLICATION p FOR TABLE t")
      let error = #expect(throws: PostgresClient.ServerError.self) { try messages(server) }
      #expect(
        error?.message.contains(#"publication "p" does not exist"#) == true, "\(String(describing: error))")
    }

    @Test("Begin has the transaction's own xid, whatever its subtransactions have")
    func topLevelTransaction() throws {
      let server = try makeServer("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      try server.query(Self.stream)
      let session = try server.session()
      try session.rows("BEGIN")
      let xid = try session.value("SELECT pg_current_xact_id()")
      try session.rows(
        "SAVEPOINT one; INSERT INTO t VALUES (1); RELEASE one; SAVEPOINT two; INSERT INTO t VALUES (2)")
      #expect(try session.value("SELECT xmin::text FROM t WHERE id = 2") != xid)
      try session.rows("COMMIT")
      let told = try server.query(
        """
        SELECT get_byte(data, 17)::bigint << 24 | get_byte(data, 18) << 16 | get_byte(data, 19) << 8 | get_byte(data, 20)
        FROM pg_logical_slot_peek_binary_changes('s', NULL, NULL, 'proto_version', '1', 'publication_names', 'p')
        WHERE chr(get_byte(data, 0)) = 'B'
        """)
      #expect(told == [[xid]])
    }

    @Test("a commit is on the wire while nobody can see it: it waits for its standby, for however long")
    func streamedBeforeVisible() throws {
      let server = try makeServer(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t",
        "synchronous_standby_names=ghost")
      try server.query("SET synchronous_commit = local; " + Self.stream)
      let writer = try server.session()
      try writer.begin("INSERT INTO t VALUES (1)")
      try eventually("its row and its commit are streamed") { try messages(server) == "I" }
      #expect(try server.value("SELECT count(*) FROM t") == "0")
      #expect(
        try server.value(
          """
          SELECT pg_visible_in_snapshot(backend_xid::text::xid8, pg_current_snapshot())
          FROM pg_stat_activity WHERE pid = \(writer.backend)
          """) == "f")
      try server.query("SELECT pg_cancel_backend(\(writer.backend))")
      _ = try writer.receiveAnswer()
      #expect(try server.value("SELECT count(*) FROM t") == "1")
    }

    @Test("on a standby a snapshot has no list of transactions, and takes a running one for visible")
    func snapshotOfAStandby() throws {
      let primary = try makeServer("CREATE TABLE t (id int PRIMARY KEY)")
      let standby = try PostgresServer(standbyOf: primary, named: "standby")
      try standby.start()
      let session = try primary.session()
      try session.rows("BEGIN")
      let xid = try session.value("SELECT pg_current_xact_id()")
      try session.rows("INSERT INTO t VALUES (1)")
      let isVisible = "SELECT pg_visible_in_snapshot('\(xid)', pg_current_snapshot())"
      #expect(try primary.value(isVisible) == "f")
      try eventually("the standby answers wrongly") {
        // Whatever commits behind it moves the snapshot's end.
        try primary.query("SELECT pg_current_xact_id()")
        return try standby.value(isVisible) == "t"
      }
      #expect(try standby.value("SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot())") == "0")
      #expect(try standby.value("SELECT count(*) FROM t") == "0")
    }

    @Test(
      "the crash marker stays over a restart in order, and moves with every crash; the start time does not")
    func crashMarker() throws {
      let server = try makeServer("SELECT 1")
      func marker() throws -> String { try server.value("SELECT stats_reset FROM pg_stat_wal") }
      let first = try marker()
      try server.restart(.fast)
      #expect(try marker() == first)
      try server.restart(.immediate)
      let second = try marker()
      #expect(second != first)
      let startTime = try server.value("SELECT pg_postmaster_start_time()")
      let victim = try server.session()
      kill(victim.backend, SIGKILL)
      try eventually("the server has recovered from a backend's crash") { try marker() != second }
      #expect(try server.value("SELECT pg_postmaster_start_time()") == startTime)
    }

    /// What `pg_recvlogical` gets from the slot when it starts there, until `end`.
    private func receive(_ server: PostgresServer, from start: String, to end: String) throws -> String {
      let result = try CommandResult.of(
        receiver(server) + ["--startpos", start, "--endpos", end], in: try TemporaryFolder())
      #expect(result.status == 0, "\(result.output)")
      return result.output
    }

    private func receiver(_ server: PostgresServer) -> [String] {
      [
        "\(PostgresServer.binaries)/pg_recvlogical", "-d", server.url, "-S", "s", "--start", "--no-loop",
        "-f", "-",
        "-o", "proto_version=1", "-o", "publication_names=p",
      ]
    }

    @Test("START_REPLICATION does not go back behind what is confirmed; a later position is honoured")
    func startPositions() throws {
      let server = try makeServer("CREATE TABLE t (note text PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      try server.query(Self.stream)
      let beginning = try server.insertPosition()
      try server.query("INSERT INTO t VALUES ('the first one')")
      let middle = try server.insertPosition()
      try server.query("INSERT INTO t VALUES ('the second one')")
      let later = try receive(server, from: middle, to: try server.insertPosition())
      #expect(later.contains("the second one") && !later.contains("the first one"))

      try server.query("INSERT INTO t VALUES ('the third one')")
      let end = try server.insertPosition()
      try server.query("SELECT pg_replication_slot_advance('s', '\(end)')")
      try server.query("INSERT INTO t VALUES ('the fourth one')")
      let again = try receive(server, from: beginning, to: try server.insertPosition())
      #expect(again.contains("the fourth one") && !again.contains("the third one"))
    }

    @Test("a position beyond the WAL's end is accepted, and the commits before it are left out in silence")
    func startBeyondTheEnd() throws {
      let server = try makeServer("CREATE TABLE t (note text PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      try server.query(Self.stream)
      let beyond = try server.value("SELECT pg_current_wal_insert_lsn() + 100000")
      let folder = try TemporaryFolder()
      let receiver = try ServerProcess(
        self.receiver(server) + ["--startpos", beyond], log: folder.file("received"))
      try eventually("it streams") { try server.value("SELECT active FROM pg_replication_slots") == "t" }
      try server.query("INSERT INTO t VALUES ('left out')")
      // Rolled back: it only moves the WAL's end.
      try server.query(
        "BEGIN; INSERT INTO t SELECT repeat('x', 1000) || n FROM generate_series(1, 200) n; ROLLBACK")
      #expect(try server.value("SELECT pg_current_wal_insert_lsn() > '\(beyond)'") == "t")
      try server.query("INSERT INTO t VALUES ('streamed')")
      try eventually("what comes behind it is streamed") { try receiver.output.contains("streamed") }
      #expect(try !receiver.output.contains("left out"))
    }

    @Test("a receiver that does not confirm keeps a server from ending in order")
    func unconfirmedShutdown() throws {
      let server = try makeServer("CREATE TABLE t (note text PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      try server.query(Self.stream)
      let folder = try TemporaryFolder()
      let receiver = try ServerProcess(self.receiver(server), log: folder.file("received"))
      try eventually("it streams") { try server.value("SELECT active FROM pg_replication_slots") == "t" }
      receiver.signal(SIGSTOP)
      try server.query("INSERT INTO t VALUES ('unconfirmed')")
      Thread.detachNewThread {
        Thread.sleep(forTimeInterval: 4)
        receiver.signal(SIGKILL)
      }
      #expect(try server.stop(.fast) > .seconds(3))
    }

    @Test("a slot whose WAL is gone says so when it is started")
    func lostSlot() throws {
      let server = try makeServer(
        "CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t", "max_slot_wal_keep_size=1MB",
        "min_wal_size=2MB", "max_wal_size=2MB")
      try server.query(Self.stream)
      let session = try server.session()
      try eventually("the slot is lost") {
        try session.rows(
          "SELECT pg_logical_emit_message(false, 'fill', repeat('x', 4000000)); SELECT pg_switch_wal()")
        try session.rows("CHECKPOINT")
        return try session.value("SELECT wal_status FROM pg_replication_slots") == "lost"
      }
      let result = try CommandResult.of(receiver(server), in: try TemporaryFolder())
      #expect(result.status != 0)
      let words = PostgresServer.version < 17 ? "exceeded the maximum reserved size" : "wal_removed"
      #expect(result.output.contains(words), "\(result.output)")
    }

    @Test("a standby that is promoted has not got the primary's logical slot, unless it was told to keep one")
    func promotedStandby() throws {
      let primary = try makeServer("SELECT 1")
      try primary.query(Self.stream)
      let standby = try PostgresServer(standbyOf: primary, named: "standby")
      try standby.start()
      try standby.query("SELECT pg_promote()")
      #expect(try standby.value("SELECT pg_is_in_recovery()") == "f")
      #expect(try standby.value("SELECT count(*) FROM pg_replication_slots") == "0")
      #expect(try primary.value("SELECT count(*) FROM pg_replication_slots") == "1")
    }

    @Test("an idle server that gets feedback sends nothing by itself; asked for a reply it answers at once")
    func silence() throws {
      let server = try makeServer("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t")
      try server.query(Self.stream)
      let stream = try ReplicationClient(port: server.port, slot: "s", publication: "p")
      // What it has to say at the beginning.
      _ = try stream.frames(within: .seconds(1))
      for _ in 0..<5 {
        try stream.sendFeedback(asksForReply: false)
        #expect(try stream.frames(within: .seconds(1)) == "")
      }
      try stream.sendFeedback(asksForReply: true)
      #expect(try stream.frames(within: .seconds(1)) == "k")
    }

    @Test("a cursor over an identity column loses a row: numbers are given before the commit")
    func cursorLosesARow() throws {
      let server = try makeServer("CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY, note text)")
      let slow = try server.session()
      try slow.rows("BEGIN; INSERT INTO outbox (note) VALUES ('slow')")
      try server.query("INSERT INTO outbox (note) VALUES ('fast')")
      let cursor = try server.value("SELECT max(id) FROM outbox")
      try slow.rows("COMMIT")
      #expect(try server.query("SELECT note FROM outbox WHERE id > \(cursor)").isEmpty)
      #expect(try server.value("SELECT count(*) FROM outbox") == "2")
    }

    @Test("a statement trigger of the parent does not fire for what is sent straight to a partition")
    func triggersOfPartitions() throws {
      let server = try makeServer(
        """
        CREATE TABLE t (id int) PARTITION BY RANGE (id); CREATE TABLE a PARTITION OF t FOR VALUES FROM (0) TO (10);
        CREATE TABLE fired (id int);
        CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); RETURN NULL; END $$;
        CREATE TRIGGER fire AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION fire()
        """)
      try server.query("INSERT INTO a VALUES (1)")
      #expect(try server.value("SELECT count(*) FROM fired") == "0")
      try server.query("INSERT INTO t VALUES (1)")
      #expect(try server.value("SELECT count(*) FROM fired") == "1")
    }

    @Test("NOTIFY takes 8,000 bytes at most, and waits for the commit of the one before it")
    func notify() throws {
      let server = try makeServer("SELECT 1", "synchronous_standby_names=ghost")
      #expect(throws: PostgresClient.ServerError.self) {
        try server.query("SELECT pg_notify('c', repeat('x', 8000))")
      }
      let first = try server.session()
      // A transaction that has written waits for its standby.
      try first.begin("BEGIN; CREATE TEMP TABLE x AS SELECT 1; NOTIFY c; COMMIT")
      try eventually("the first one hangs in its commit") {
        try server.value("SELECT wait_event FROM pg_stat_activity WHERE pid = \(first.backend)") == "SyncRep"
      }
      let second = try server.session()
      try second.begin("SET synchronous_commit = local; NOTIFY c")
      try eventually("the second one waits for it") {
        try server.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = \(second.backend)")
          == "Lock"
      }
      try server.query("SELECT pg_cancel_backend(\(first.backend))")
      _ = try second.receiveAnswer()
    }
  }
}
