import Foundation
import Testing

extension RealServers {
  @Suite struct RedisCheck {
    static let rules = "[{table: users, keys: ['u:{id}', 'u:{id}:{email|lower}']}]"
    static let allIsRight = "Everything is right: 1 rule.\n"

    /// A PostgreSQL that nothing is wrong with, and a Redis with these options.
    private func installed(
      _ options: [String] = ["--save", "", "--appendonly", "no"]
    ) throws -> SetupServer {
      let server = try SetupServer(
        "CREATE TABLE users (id bigint PRIMARY KEY, email text); ALTER TABLE users REPLICA IDENTITY FULL",
        redisOptions: options)
      let setup = try server.cdcd("setup", rules: Self.rules)
      #expect(setup.status == 0, "\(setup.output)")
      return server
    }

    @Test("check leaves everything in Redis as it is")
    func changesNothing() throws {
      let server = try installed()
      let client = try server.redis.client()
      // Keys that fit the templates as the ones that are tried do, and one that begins as the watermark.
      for key in ["u:0", "cdcd:l:{u:0}", "u:0:0", "cdcd:wm:1:cdcd"] { try client("SET", key, "kept") }
      for entries in ["", "leases: false, command: del"] {
        let check = try server.cdcd("check", rules: Self.rules, redisEntries: entries)
        #expect(check.output == Self.allIsRight && check.status == 0, "\(check.output)")
      }
      #expect(try client("DBSIZE") == .integer(4))
      for key in ["u:0", "cdcd:l:{u:0}", "u:0:0", "cdcd:wm:1:cdcd"] { #expect(try client.get(key) == "kept") }
    }

    @Test(
      "an ACL with what the README lists is enough; what is missing is named, with the rule that grants it")
    func permissions() throws {
      let server = try installed(["--save", "", "--appendonly", "yes"])
      let client = try server.redis.client()
      let url = "redis://cdcd:geheim@127.0.0.1:\(server.redis.port)/0"
      let commands = ["MULTI", "EXEC", "UNLINK", "EVAL", "GET", "SET", "SCAN", "INFO"]
      let grants = commands.map { "+" + $0.lowercased() }
      func check(_ rules: [String]) throws -> CommandResult {
        try client.run(["ACL", "SETUSER", "cdcd", "reset", "on", ">geheim"] + rules)
        return try server.cdcd("check", rules: Self.rules, redis: url)
      }
      let exact = try check(grants + ["~u:*", "~cdcd:*"])
      #expect(exact.output == Self.allIsRight && exact.status == 0, "\(exact.output)")
      try client("SET", "u:1", "old")
      let daemon = try server.run(rules: Self.rules, redis: url)
      try daemon.waitUntilReady()
      #expect(try !client.exists("u:1"), "the first start flushes")
      daemon.process.signal(SIGTERM)
      #expect(try daemon.process.waitForExit() == 0)

      for command in commands {
        let name = command.lowercased()
        let missing = try check(grants.filter { $0 != "+" + name } + ["~u:*", "~cdcd:*"])
        #expect(missing.status == 1)
        #expect(
          missing.output == """
            error: The Redis user cdcd may not run \(command): no key would be deleted.
              ACL SETUSER cdcd +\(name), then ACL SAVE or CONFIG REWRITE\n
            """)
        try client.run(["ACL", "SETUSER", "cdcd", "+" + name])
        #expect(try server.cdcd("check", rules: Self.rules, redis: url).output == Self.allIsRight)
      }
      let own = try check(grants + ["~u:*"])
      #expect(own.status == 1)
      #expect(own.output.contains("ACL SETUSER cdcd ~cdcd:*, then"), "\(own.output)")
      let keys = try check(grants.filter { $0 != "+scan" } + ["~cdcd:*", "~x:*"])
      #expect(keys.status == 1)
      #expect(keys.output.contains("may not run SCAN"), "\(keys.output)")
      #expect(keys.output.contains("may not touch keys such as u:*, u:*:*: a batch"), "\(keys.output)")
      #expect(keys.output.contains("ACL SETUSER cdcd ~u:* ~u:*:*, then"), "\(keys.output)")
      #expect(!keys.output.contains("geheim"))
    }

    @Test("commands that are renamed away")
    func renamedCommands() throws {
      let server = try installed(["--save", "", "--appendonly", "no", "--rename-command", "EVAL", ""])
      let check = try server.cdcd("check", rules: Self.rules)
      #expect(check.status == 1)
      #expect(check.output.hasPrefix("error: Redis does not know EVAL"), "\(check.output)")
      let other = try installed(["--save", "", "--appendonly", "yes", "--rename-command", "CONFIG", ""])
      let managed = try other.cdcd("check", rules: Self.rules)
      #expect(managed.output == Self.allIsRight, "a CONFIG that is refused is no fault: \(managed.output)")
    }

    @Test("a replica and a node of a cluster are no place for the watermark")
    func wrongServers() throws {
      let server = try installed()
      let upstream = try server.redis.client()
      let primary = try RedisServer(in: try TemporaryFolder())
      try primary.start()
      try upstream("REPLICAOF", "127.0.0.1", "\(primary.port)")
      let replica = try server.cdcd("check", rules: Self.rules)
      #expect(replica.status == 1)
      #expect(
        replica.output.hasPrefix("error: Redis: it is a replica, and cdcd has to write to the primary."))
      let daemon = try server.run(rules: Self.rules)
      try eventually("the daemon says the same") {
        try daemon.get("/readyz").body.contains("it is a replica, and cdcd has to write to the primary")
      }
      try primary.stop()

      let node = try installed(["--cluster-enabled", "yes", "--save", "", "--appendonly", "no"])
      let clustered = try node.cdcd("check", rules: Self.rules)
      #expect(clustered.status == 1)
      #expect(clustered.output.hasPrefix("error: Redis is a node of a cluster"), "\(clustered.output)")
    }

    @Test("what a restart, an eviction or a failover makes Redis forget is a warning")
    func forgetting() throws {
      let server = try installed()
      let client = try server.redis.client()
      func check(_ options: String = "") throws -> CommandResult {
        let result = try server.cdcd("check", rules: Self.rules, options: options)
        #expect(result.status == 0, "\(result.output)")
        return result
      }
      #expect(try check().output == Self.allIsRight)
      #expect(try check("on_gap: halt").output.contains("Redis keeps nothing on disk"))
      let ofRule = "[{table: users, keys: ['u:{id}'], on_gap: halt}]"
      #expect(try server.cdcd("check", rules: ofRule).output.contains("Redis keeps nothing on disk"))
      try client("CONFIG", "SET", "save", "3600 1")
      let snapshots = try check().output
      #expect(snapshots.hasPrefix("warning: Redis keeps snapshots and no append-only file"), "\(snapshots)")
      try client("CONFIG", "SET", "appendonly", "yes")
      #expect(try check("on_gap: halt").output == Self.allIsRight)

      try client("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
      #expect(try check().output == Self.allIsRight, "nothing is evicted without a limit")
      try client("CONFIG", "SET", "maxmemory", "100mb")
      let eviction = try check().output
      #expect(eviction.hasPrefix("warning: maxmemory-policy is allkeys-lfu, which may evict"), "\(eviction)")
      #expect(eviction.contains("CONFIG SET maxmemory-policy volatile-lfu,"))
      try client("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
      #expect(try check().output == Self.allIsRight)

      try server.redis.startReplica()
      let replicated = try check().output
      #expect(replicated.hasPrefix("warning: Redis has a replica, and min-replicas-to-write is 0"))
      try client("CONFIG", "SET", "min-replicas-to-write", "1")
      #expect(try check().output == Self.allIsRight)
    }

    @Test("a Redis that does not tell whether it keeps snapshots")
    func snapshotsUntold() throws {
      let server = try installed(["--save", "", "--appendonly", "no", "--rename-command", "CONFIG", ""])
      let check = try server.cdcd("check", rules: Self.rules)
      #expect(check.status == 0)
      #expect(check.output.contains("does not tell whether it keeps snapshots"), "\(check.output)")
    }

    @Test("writes that Redis refuses are told with its own words")
    func refusedWrites() throws {
      let server = try installed()
      let client = try server.redis.client()
      try client("CONFIG", "SET", "min-replicas-to-write", "1")
      let lonely = try server.cdcd("check", rules: Self.rules)
      #expect(lonely.status == 1)
      #expect(lonely.output.hasPrefix("error: Redis refuses to write: NOREPLICAS"), "\(lonely.output)")
      #expect(lonely.output.contains("CONFIG SET min-replicas-to-write 0"))
      try client("CONFIG", "SET", "min-replicas-to-write", "0")
      try client("CONFIG", "SET", "maxmemory", "1")
      let full = try server.cdcd("check", rules: Self.rules)
      #expect(full.status == 1)
      #expect(full.output.hasPrefix("error: Redis refuses to write: OOM"), "\(full.output)")
      try client("CONFIG", "SET", "maxmemory", "0")
      #expect(try server.cdcd("check", rules: Self.rules).output == Self.allIsRight)
      // As with a disk that is full.
      try client("CONFIG", "SET", "save", "3600 1")
      try FileManager.default.removeItem(atPath: server.folder.file("redis"))
      try client("BGSAVE")
      try eventually("the snapshot has failed") {
        try client("INFO", "persistence").text?.contains("rdb_last_bgsave_status:err") == true
      }
      let unsaved = try server.cdcd("check", rules: Self.rules)
      #expect(unsaved.status == 1)
      #expect(unsaved.output.hasPrefix("error: Redis refuses to write: MISCONF"), "\(unsaved.output)")
    }

    @Test("everything that is wrong is told at once, also while a server is away; secrets are not")
    func everythingAtOnce() throws {
      let server = try installed()
      try server.postgres.query("DROP PUBLICATION cdcd")
      let client = try server.redis.client()
      try client("CONFIG", "SET", "requirepass", "geheim")
      let cases: [(url: String, words: String)] = [
        ("redis://127.0.0.1:\(server.redis.port)/0", "put the password into redis.url"),
        ("redis://:wrong@127.0.0.1:\(server.redis.port)/0", "the login was refused (WRONGPASS)"),
        ("redis://:geheim@127.0.0.1:\(server.redis.port)/99", "database 99 was refused"),
        ("redis://:geheim@127.0.0.1:1/0", "Connection refused"),
      ]
      for (url, words) in cases {
        let check = try server.cdcd("check", "--json", rules: Self.rules, redis: url)
        #expect(check.status == 69)
        #expect(
          check.output.contains("There is no connection to Redis.") && check.output.contains(words),
          "\(check.output)"
        )
        #expect(check.output.contains("There is no publication cdcd."), "\(check.output)")
        #expect(check.output.contains(#""ok" : false"#))
        #expect(!check.output.contains("geheim"))
      }
      try client("CONFIG", "SET", "requirepass", "")
      try client("CONFIG", "SET", "min-replicas-to-write", "1")
      let away = try server.cdcd("check", rules: Self.rules, port: 1)
      #expect(away.status == 69)
      #expect(away.output.contains("There is no connection to PostgreSQL."), "\(away.output)")
      #expect(away.output.contains("Redis refuses to write: NOREPLICAS"), "\(away.output)")
      server.redis.freeze()
      defer { server.redis.thaw() }
      let frozen = try server.cdcd("check", rules: Self.rules)
      #expect(frozen.status == 69 && frozen.output.contains("no answer within 5 seconds"), "\(frozen.output)")
    }

    @Test("check beside a running daemon disturbs nothing")
    func besideTheDaemon() throws {
      let installation = try Installation()
      for _ in 0..<3 { #expect(try installation.command("check").status == 0) }
      try installation.postgres.query("INSERT INTO users VALUES (1, 'a', 'b')")
      try installation.expectSettled()
      #expect(try installation.cdcd.metric("cdcd_lineage_breaks_total") == 0)
      #expect(try installation.cdcd.metric("cdcd_evicted_watermarks_total") == 0)
      #expect(try installation.cdcd.isReady)
    }
  }
}
