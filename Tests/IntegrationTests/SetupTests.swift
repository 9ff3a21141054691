import Foundation
import Testing

extension RealServers {
  @Suite struct Setup {
    static let users = "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text)"

    @Test("setup makes the publication and the slot, and nothing a second time")
    func creates() throws {
      let server = try SetupServer(
        """
        \(Self.users);
        CREATE TABLE "Order Items" ("Id" int, line int, PRIMARY KEY ("Id", line));
        CREATE TABLE heir () INHERITS (users);
        """)
      let rules = #"[{table: users, keys: ['u:{id}']}, {table: '"Order Items"', keys: ['i:{Id}:{line}']}]"#
      let dry = try server.cdcd("setup", "--dry-run", rules: rules)
      #expect(dry.status == 0)
      #expect(try server.installed() == [])
      let check = try server.cdcd("check", rules: rules)
      #expect(check.status == 1)
      #expect(check.output.contains("There is no publication cdcd."))
      #expect(check.output.contains("There is no replication slot cdcd."))

      let first = try server.cdcd("setup", rules: rules)
      #expect(first.status == 0)
      #expect(dry.output.contains("CREATE EVENT TRIGGER cdcd_dropped"))
      #expect(!first.output.contains("CREATE EVENT TRIGGER"), "\(first.output)")
      #expect(
        first.output.contains("CREATE PUBLICATION") && first.output.contains("-- sql/ddl-triggers.sql\n"))
      #expect(first.output.hasSuffix("\nDone.\n"))
      let installed = [
        "publication cdcd t t t t f", "slot cdcd pgoutput postgres", #"table "Order Items""#, "table users",
      ]
      #expect(try server.installed() == installed)

      let second = try server.cdcd("setup", rules: rules)
      #expect(second.status == 0)
      #expect(second.output.hasSuffix("Nothing is missing.\n"))
      #expect(try server.installed() == installed)
      let done = try server.cdcd("check", "--json", rules: rules)
      #expect(done.status == 0)
      #expect(done.output.contains(#""ok" : true"#))
      #expect(done.output.contains("Other tables inherit from"))
      // The heir, which has no key, was not published: its rows can still be changed.
      try server.postgres.query(
        "INSERT INTO heir VALUES (1, 'a', 'b'); UPDATE heir SET name = 'c'; DELETE FROM heir")
    }

    @Test("the SQL in sql/ is what setup installs")
    func readableSQL() throws {
      let server = try SetupServer(
        """
        CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
        CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, status text, total numeric);
        CREATE TABLE order_items (order_id bigint, line int, sku text, quantity int, PRIMARY KEY (order_id, line));
        """)
      let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
      for file in ["sql/publication-and-slot.sql", "sql/ddl-triggers.sql", "sql/ddl-triggers.sql"] {
        let psql = try CommandResult.of(
          [
            "/usr/bin/psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", server.postgres.url, "-f",
            root.appending(path: file).path,
          ], in: server.folder)
        #expect(psql.status == 0, "\(psql.output)")
      }
      let check = try CommandResult.of(
        [
          try CDCDProcess.binary, "check", "--config", root.appending(path: "deploy/rules.example.yaml").path,
        ],
        in: server.folder,
        environment: ["CDCD_POSTGRES": server.postgres.url, "CDCD_REDIS": server.redis.url])
      #expect(check.output == "Everything is right: 6 rules.\n")
      #expect(check.status == 0)
      // A slot that a standby keeps in step, where there are such.
      if PostgresServer.version >= 17 {
        #expect(try server.postgres.value("SELECT failover FROM pg_replication_slots") == "t")
      }
    }

    @Test("without a superuser setup makes the rest and prints the event triggers; check warns")
    func triggersWithoutSuperuser() throws {
      let server = try SetupServer(
        "CREATE ROLE owner LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO owner; \(Self.users); "
          + "ALTER TABLE users OWNER TO owner")
      let rules = "[{table: users, keys: ['u:{id}']}]"
      let setup = try server.cdcd("setup", rules: rules, user: "owner")
      #expect(setup.status == 0, "\(setup.output)")
      #expect(setup.output.contains("A superuser has to run this"))
      #expect(setup.output.contains("CREATE EVENT TRIGGER cdcd_dropped"))
      #expect(try server.installed().count == 3)
      let check = try server.cdcd("check", rules: rules, user: "owner")
      #expect(check.status == 0)
      #expect(check.output.contains("warning: There are no event triggers"))
      // What it prints is what a superuser can run.
      let printed = try server.cdcd("setup", "--dry-run", rules: rules, user: "owner")
      try server.postgres.query(printed.output)
      #expect(
        try server.cdcd("check", rules: rules, user: "owner").output == "Everything is right: 1 rule.\n")
      try server.postgres.query("ALTER EVENT TRIGGER cdcd_altered DISABLE")
      #expect(try server.cdcd("check", rules: rules).output.contains("There are no event triggers"))
    }

    @Test(
      "setup never publishes a table whose own updates would then fail",
      arguments: [
        ("CREATE TABLE t (id int)", "t"),
        ("CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING", "t"),
        ("CREATE TABLE t (id int PRIMARY KEY DEFERRABLE)", "t"),
        (
          """
          CREATE TABLE t (id int NOT NULL); CREATE UNIQUE INDEX x ON t (id);
          ALTER TABLE t REPLICA IDENTITY USING INDEX x; DROP INDEX x
          """, "t"
        ),
        (
          """
          CREATE TABLE t (id int) PARTITION BY RANGE (id);
          CREATE TABLE a PARTITION OF t FOR VALUES FROM (0) TO (10);
          CREATE TABLE b PARTITION OF t FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
          CREATE TABLE c PARTITION OF b FOR VALUES FROM (10) TO (20);
          ALTER TABLE a REPLICA IDENTITY FULL
          """, "c"
        ),
      ])
    func refusesTablesWithoutIdentity(schema: String, leaf: String) throws {
      let server = try SetupServer(schema + "; INSERT INTO t VALUES (1), (11)")
      // A partition holds back nobody: a running cdcd tells of it.
      for command in ["setup", "check"] + (leaf == "t" ? ["run"] : []) {
        let result = try server.cdcd(command, rules: "[{table: t, on: [insert], keys: ['t:{id}']}]")
        #expect(result.status == (command == "run" ? 78 : 1))
        #expect(result.output.contains(#"ALTER TABLE "public"."\#(leaf)" REPLICA IDENTITY FULL;"#))
      }
      #expect(try server.installed() == [])
      let dry = try server.cdcd("setup", "--dry-run", rules: "[{table: t, on: [insert], keys: ['t:{id}']}]")
      #expect(!dry.output.contains("PUBLICATION"))

      // What it says is needed is enough, and the application's statements go on.
      try server.postgres.query(#"ALTER TABLE "\#(leaf)" REPLICA IDENTITY FULL"#)
      let setup = try server.cdcd("setup", rules: "[{table: t, on: [insert], keys: ['t:{id}']}]")
      #expect(setup.status == 0, "\(setup.output)")
      try server.postgres.query("UPDATE t SET id = id + 1; DELETE FROM t")
    }

    @Test("the replica identity has to cover keys, where and when_changed")
    func coverage() throws {
      let server = try SetupServer(
        """
        \(Self.users);
        CREATE TABLE pairs (a int NOT NULL, b int NOT NULL, c int);
        CREATE UNIQUE INDEX pair ON pairs (a, b) INCLUDE (c);
        ALTER TABLE pairs REPLICA IDENTITY USING INDEX pair;
        """)
      let full = #"ALTER TABLE "public"."users" REPLICA IDENTITY FULL;"#
      let cases: [(rules: String, uncovered: String?)] = [
        ("[{table: users, keys: ['u:{id}']}]", nil),
        (
          "[{table: users, keys: ['u:{email}']}]",
          #"reads "email", which the replica identity of "public"."users""#
        ),
        ("[{table: users, keys: ['u:{id}'], where: {name: a}}]", #"reads "name","#),
        ("[{table: users, keys: ['u:{id}'], when_changed: [name, email]}]", #"reads "name", "email","#),
        ("[{table: users, on: [insert], keys: ['u:{email}']}]", nil),
        ("[{table: users, on: [truncate, delete], keys: ['u:{email}']}]", #"reads "email","#),
        ("[{table: pairs, keys: ['p:{a}:{b}']}]", nil),
        ("[{table: pairs, keys: ['p:{a}:{c}']}]", #"reads "c","#),
      ]
      for (rules, uncovered) in cases {
        let result = try server.cdcd("setup", "--dry-run", rules: rules)
        #expect(result.status == (uncovered == nil ? 0 : 1), "\(rules)")
        guard let uncovered else { continue }
        #expect(result.output.contains(uncovered), "\(rules): \(result.output)")
        #expect(try server.cdcd("run", rules: rules).status == 78)
      }
      #expect(try server.cdcd("setup", "--dry-run", rules: cases[1].rules).output.contains(full))
      try server.postgres.query(full)
      #expect(try server.cdcd("setup", "--dry-run", rules: cases[1].rules).status == 0)
    }

    @Test("setup adds tables, and lets partitions come under their own names")
    func completes() throws {
      let server = try SetupServer(
        """
        \(Self.users);
        CREATE TABLE parts (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);
        CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
        """)
      let one = "[{table: users, keys: ['u:{id}']}]"
      let two = "[{table: users, keys: ['u:{id}']}, {table: parts, keys: ['p:{id}']}]"
      #expect(try server.cdcd("setup", rules: one).status == 0)
      #expect(try server.cdcd("setup", rules: two).status == 0)
      #expect(
        try server.installed()
          == ["publication cdcd t t t t f", "slot cdcd pgoutput postgres", "table parts", "table users"])
      try server.postgres.query("ALTER PUBLICATION cdcd SET (publish_via_partition_root = true)")
      let check = try server.cdcd("check", rules: two)
      #expect(check.status == 0)
      #expect(check.output.contains("no TRUNCATE of a single partition"))
      let daemon = try server.run(rules: two)
      try daemon.waitUntilReady()
      #expect(try daemon.process.output.contains("no TRUNCATE of a single partition"))
      daemon.process.signal(SIGTERM)
      #expect(try daemon.process.waitForExit() == 0)
      #expect(try server.cdcd("setup", rules: two).status == 0)
      #expect(try server.installed().first == "publication cdcd t t t t f")
      let leaf = try server.cdcd("check", rules: "[{table: parts_1, keys: ['p:{id}']}]")
      #expect(leaf.status == 1)
      #expect(leaf.output.contains(#"table: '"public"."parts"'"#))
      let uncovered = try server.cdcd("check", rules: "[{table: parts, keys: ['p:{note}']}]")
      #expect(uncovered.output.contains(#"ALTER TABLE "public"."parts_1" REPLICA IDENTITY FULL;"#))
      #expect(uncovered.output.contains(#"ALTER TABLE "public"."parts_2" REPLICA IDENTITY FULL;"#))
    }

    @Test("what others have made and hides changes is named, not altered")
    func leavesOthersAlone() throws {
      let server = try SetupServer(
        "\(Self.users); CREATE PUBLICATION cdcd FOR TABLE users WHERE (id > 5) WITH (publish = 'insert')")
      let rules = "[{table: users, keys: ['u:{id}']}]"
      let restricted = try server.cdcd("setup", rules: rules)
      #expect(restricted.status == 1)
      #expect(restricted.output.contains("leaves out kinds of changes"))
      #expect(restricted.output.contains(#"ALTER PUBLICATION "cdcd" DROP TABLE "public"."users";"#))
      #expect(try server.installed() == ["publication cdcd t f f f f", "table users"])

      try server.postgres.query("DROP PUBLICATION cdcd")
      try server.postgres.query("SELECT pg_create_logical_replication_slot('cdcd', 'test_decoding')")
      let plugin = try server.cdcd("setup", rules: rules)
      #expect(plugin.status == 1)
      #expect(plugin.output.contains("belongs to the plugin test_decoding"))

      try server.postgres.query("SELECT pg_drop_replication_slot('cdcd')")
      try server.postgres.query("SELECT pg_create_logical_replication_slot('cdcd', 'pgoutput')")
      let order = try server.cdcd("setup", rules: rules)
      #expect(order.status == 1)
      #expect(order.output.contains("is older than the publication"))
      #expect(try server.installed() == ["slot cdcd pgoutput postgres"])
    }

    @Test(
      "a rule may read a stored generated column, which is published then",
      .enabled(if: PostgresServer.version >= 18, "generated columns are not published before PostgreSQL 18"))
    func generatedColumns() throws {
      var options = Installation.Options()
      options.mode = "pgoutput"
      options.schema = """
        CREATE TABLE users (id int PRIMARY KEY, email text, folded text GENERATED ALWAYS AS (lower(email)) STORED);
        ALTER TABLE users REPLICA IDENTITY FULL
        """
      options.rules = "  - {table: users, keys: ['mail:{folded}']}"
      let installation = try Installation(options, start: false)
      try installation.postgres.query("CREATE PUBLICATION cdcd FOR TABLE users")
      #expect(try installation.command("check").output.contains("publish_generated_columns = stored"))
      try installation.setUp()
      #expect(try installation.postgres.value("SELECT pubgencols FROM pg_publication") == "s")
      try installation.postgres.query("DROP PUBLICATION cdcd; SELECT pg_drop_replication_slot('cdcd')")
      try installation.setUp()
      try installation.startCDCD().waitUntilReady()
      let keys = ["mail:ada@x", "mail:eve@x", "mail:Ada@x"]
      #expect(
        try installation.keysGone(of: keys, after: "INSERT INTO users (id, email) VALUES (1, 'Ada@x')")
          == ["mail:ada@x"])
      #expect(
        try installation.keysGone(of: keys, after: "UPDATE users SET email = 'Eve@x'")
          == ["mail:ada@x", "mail:eve@x"])
      #expect(try installation.keysGone(of: keys, after: "DELETE FROM users") == ["mail:eve@x"])
    }

    @Test("check names what is not there, and values that PostgreSQL never prints")
    func names() throws {
      let server = try SetupServer(
        """
        CREATE DOMAIN small AS int CHECK (value < 10);
        CREATE TABLE t (id int PRIMARY KEY, price numeric(10, 2), done boolean, code char(4), day date,
          twice int GENERATED ALWAYS AS (id * 2) \(PostgresServer.version >= 18 ? "VIRTUAL" : "STORED"), small small, other regclass);
        ALTER TABLE t REPLICA IDENTITY FULL;
        CREATE VIEW v AS SELECT * FROM t;
        CREATE UNLOGGED TABLE u (id int PRIMARY KEY);
        """, settings: ["wal_level=replica"])
      let rules = """
        [{table: t, keys: ['t:{id}'], where: {price: 1.5}}, {table: t, keys: ['t:{id}'], where: {price: 1.50}},
         {table: t, keys: ['t:{id}'], where: {done: true, day: 2024-01-31}},
         {table: t, keys: ['t:{id}'], where: {done: 'true'}}, {table: t, keys: ['t:{id}'], where: {code: ab}},
         {table: t, keys: ['t:{idd}']}, {table: t, keys: ['t:{twice}']}, {table: v, keys: ['v:{id}']},
         {table: u, keys: ['u:{id}']}, {table: nowhere, keys: ['n:{id}']},
         {table: t, keys: ['t:{id}'], where: {small: 10, other: nothing}}, {table: t, keys: ['t:{id}'], where: {day: soon}}]
        """
      let result = try server.cdcd("check", rules: rules)
      #expect(result.status == 1)
      for expected in [
        "Write '1.50'.", "Write 't'.", "Write 'ab  '.", "Write a value of the type: ",
        #"reads the column "idd", which "public"."t" does not have"#, #"The nearest is "id"."#,
        #"reads the generated column "twice""#,
        #""public"."v" is not a table whose changes PostgreSQL can tell"#,
        #"ALTER TABLE "public"."u" SET LOGGED;"#, #"There is no table "public"."nowhere"."#,
        "ALTER SYSTEM SET wal_level = logical;",
      ] {
        #expect(result.output.contains(expected), "\(expected) in \(result.output)")
      }
      #expect(result.output.split(separator: "\n").filter { $0.contains("never prints") }.count == 6)
      let never = "[{table: t, keys: ['t:{id}'], where: {price: 1.5}}]"
      for (command, status) in [("setup", Int32(1)), ("run", 78)] {
        let refusal = try server.cdcd(command, rules: never)
        #expect(refusal.status == status && refusal.output.contains("Write '1.50'."), "\(refusal.output)")
      }
      let nothing = try server.cdcd("check", rules: "[{table: nowhere, keys: ['n:{id}']}]")
      #expect(nothing.status == 1)
      #expect(!nothing.output.contains("CREATE PUBLICATION"), "one without tables is no SQL")
    }

    @Test(
      "check says what the stream would stumble on; setup goes on",
      arguments: ["*", #"FIRST 1 ("CDCD", other)"#])
    func streamFacts(standbys: String) throws {
      let server = try SetupServer("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
      try PostgresClient(port: server.postgres.port, database: "ascii").rows(Self.users)
      let rules = "[{table: users, keys: ['u:{id}']}]"
      let setup = try server.cdcd("setup", rules: rules, database: "ascii")
      #expect(setup.status == 0, "\(setup.output)")
      let ascii = try server.cdcd("check", rules: rules, database: "ascii")
      #expect(ascii.status == 0)
      let warning = "warning: The database ascii has the encoding SQL_ASCII"
      #expect(ascii.output.hasPrefix(warning), "\(ascii.output)")
      #expect(!ascii.output.contains("error:"))

      try server.postgres.query("SELECT pg_drop_replication_slot('cdcd')")
      try server.postgres.query(Self.users)
      #expect(try server.cdcd("setup", rules: rules).status == 0)
      try server.postgres.query("ALTER DATABASE postgres SET standard_conforming_strings = off")
      try server.postgres.query("ALTER SYSTEM SET synchronous_standby_names = '\(standbys)'")
      try server.postgres.query("SELECT pg_reload_conf()")
      try eventually("the server has read its configuration") {
        try server.postgres.value("SHOW synchronous_standby_names") == standbys
      }
      let again = try server.cdcd("setup", rules: rules)
      #expect(again.status == 0)
      #expect(again.output.hasSuffix("Nothing is missing.\n"), "\(again.output)")
      let taken = try server.cdcd("check", rules: rules)
      #expect(taken.status == 1)
      #expect(taken.output.contains("error: synchronous_standby_names takes cdcd"), "\(taken.output)")
      #expect(!taken.output.contains("warning"), "\(taken.output)")
    }

    @Test(
      "where PUBLIC may not use the schema, check and setup say what to grant; the stream needs none of it")
    func schemaUsage() throws {
      let server = try SetupServer(
        "CREATE ROLE owner LOGIN REPLICATION; GRANT CREATE ON DATABASE postgres TO owner; \(Self.users); "
          + "CREATE TYPE mood AS ENUM ('good'); ALTER TABLE users ADD mood mood; "
          + "ALTER TABLE users OWNER TO owner; ALTER TABLE users REPLICA IDENTITY FULL; "
          + "REVOKE ALL ON SCHEMA public FROM PUBLIC")
      let rules = "[{table: users, keys: ['u:{id}']}]"
      let grant = #"GRANT USAGE ON SCHEMA "public" TO "owner";"#
      for command in ["check", "setup"] {
        let result = try server.cdcd(command, rules: rules, user: "owner")
        #expect(result.status == 1)
        #expect(result.output.contains("The role owner may not use the schema public"), "\(result.output)")
        #expect(result.output.contains(grant), "\(result.output)")
      }
      #expect(try server.installed() == [])
      // Who runs what it prints has the right.
      let printed = try server.cdcd("setup", "--dry-run", rules: rules, user: "owner")
      #expect(printed.status == 0, "\(printed.output)")
      #expect(printed.output.contains("warning: The role owner may not use"), "\(printed.output)")
      #expect(printed.output.contains("CREATE PUBLICATION"), "\(printed.output)")
      try server.postgres.query(grant)
      #expect(try server.cdcd("setup", rules: rules, user: "owner").status == 0)
      try server.postgres.query(#"REVOKE USAGE ON SCHEMA "public" FROM "owner""#)
      let published = try server.cdcd("check", rules: rules, user: "owner")
      #expect(published.status == 0, "\(published.output)")
      let condition = "[{table: users, keys: ['u:{id}'], where: {mood: good}}]"
      let refused = try server.cdcd("check", rules: condition, user: "owner")
      #expect(refused.status == 1)
      #expect(refused.output.contains("permission denied for schema public (SQLSTATE 42501); the role needs"))
      #expect(refused.output.contains("USAGE on their schemas"), "\(refused.output)")
    }

    @Test("exit codes")
    func exitCodes() throws {
      let folder = try TemporaryFolder()
      let good = try folder.write(
        """
        source: {postgres: 'host=127.0.0.1 port=1 password=hunter2'}
        redis: {url: 'redis://127.0.0.1:1'}
        rules: [{table: users, keys: ['u:{id}']}]
        """, to: "good.yaml")
      let bad = try folder.write("redis: {url: 'redis://:hunter2@h:x'}\n", to: "bad.yaml")
      let cases: [(words: [String], status: Int32)] = [
        (["check", "--offline", "--config", good], 0), (["--version"], 0), (["--help"], 0),
        (["check", "--config", good], 69), (["setup", "--config", good], 69),
        (["check", "--offline", "--config", bad], 78), (["--config", bad], 78),
        (["--config", folder.file("missing.yaml")], 78),
        (["frobnicate"], 64), (["check", "--bogus"], 64), (["run"], 64),
        (["explain", "--config", good, "--table", "users", "--new", "{\"id\": 1}"], 0),
        (["explain", "--config", good, "--table", "users", "--new", "{\"ix\": 1}"], 1),
        (["explain", "--config", good, "--table", "users", "--new", "{"], 64),
        (["explain", "--config", good, "--table", "user", "--new", "{\"id\": 1}"], 1),
      ]
      for (words, status) in cases {
        let result = try CommandResult.of([try CDCDProcess.binary] + words, in: folder)
        #expect(result.status == status, "\(words): \(result.output)")
        #expect(!result.output.contains("hunter2"), "\(words): \(result.output)")
      }
      let json = try CommandResult.of(
        [try CDCDProcess.binary, "check", "--json", "--offline", "--config", bad], in: folder)
      #expect(json.status == 78)
      #expect(json.output.contains(#""ok" : false"#))
      #expect(json.output.contains(#"bad.yaml:1:14: found a port that is no number"#))
    }
  }
}
