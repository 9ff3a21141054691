import Foundation
import PostgresSource
import Testing

extension RealServers {
  /// What is in the log, and what must not be: read from the process that wrote it.
  @Suite struct Logs {
    /// In the rows, and so in the keys.
    private static let value = "ada-7f3c@example.org"
    private static let postgresPassword = "pg-secret-91"
    private static let redisPassword = "redis-secret-64"

    private static func configuration(
      _ installation: Installation, httpPort: Int, format: String
    ) throws -> String {
      let address = "127.0.0.1:\(installation.postgres.port)/postgres"
      return try installation.folder.write(
        """
        source: {postgres: 'postgresql://postgres:\(postgresPassword)@\(address)', mode: \(installation.mode)}
        redis: {url: 'redis://cdcd:\(redisPassword)@127.0.0.1:\(installation.redis.port)/0'}
        http: {listen: '127.0.0.1:\(httpPort)'}
        log: {level: trace, format: \(format)}
        rules:
          - {name: users, table: users, keys: ['user:{email}']}
          - {messages: true, pattern: 'page:*'}
        """, to: "cdcd.yaml")
    }

    @Test("a line is JSON, names its cause, and shows no password, value or key, whatever goes wrong")
    func secrets() throws {
      var options = Installation.Options()
      options.redisOptions += ["--rename-command", "UNLINK", ""]
      options.schema =
        "CREATE TABLE users (id bigint PRIMARY KEY, email text); ALTER TABLE users REPLICA IDENTITY FULL"
      options.rules =
        "  - {name: users, table: users, keys: ['user:{email}']}\n  - {messages: true, pattern: 'page:*'}"
      let installation = try Installation(options, start: false)
      try installation.setUp()
      let redis = try installation.redis.client()
      try redis("ACL", "SETUSER", "cdcd", "on", ">" + Self.redisPassword, "~*", "&*", "+@all")
      let port = try LoopbackConnection.freePort()
      let path = try Self.configuration(installation, httpPort: port, format: "json")
      let cdcd = try CDCDProcess(
        [], configuration: path, httpPort: port, log: installation.folder.file("cdcd.log"))
      try cdcd.waitUntilReady()
      try misfortunes(installation, cdcd, redis)
      cdcd.process.signal(SIGTERM)
      #expect(try cdcd.process.waitForExit() == 0)
      try judge(cdcd)
    }

    private func misfortunes(
      _ installation: Installation, _ cdcd: CDCDProcess, _ redis: RedisClient
    ) throws {
      func expect(_ cause: String) throws {
        try eventually("a line has the cause \(cause)") {
          try cdcd.process.output.contains(#""cause":"\#(cause)""#)
        }
      }
      // Redis does not know the command, and repeats its arguments.
      try installation.postgres.query("INSERT INTO users VALUES (1, '\(Self.value)')")
      try expect("redis_error")
      try eventually("Redis refuses it again and again") {
        try cdcd.metric("cdcd_redis_errors_total") ?? 0 >= 3
      }
      if installation.mode != "notify" {
        try installation.postgres.query(
          "SELECT pg_logical_emit_message(true, 'cdcd', 'kye page:\(Self.value)')")
        try expect("malformed_message")
      }
      try redis("ACL", "SETUSER", "cdcd", "resetpass", ">another")
      try redis("CLIENT", "KILL", "USER", "cdcd")
      try expect("redis_refused")
      try installation.postgres.restart(.immediate)
      try expect("source_unavailable")
      cdcd.process.signal(SIGHUP)
      try expect("rules_replaced")
      try expect("not_ready")
    }

    private func judge(_ cdcd: CDCDProcess) throws {
      let output = try cdcd.process.output
      for secret in [Self.value, Self.postgresPassword, Self.redisPassword] {
        let lines = output.split(separator: "\n").filter { $0.contains(secret) }
        #expect(lines.isEmpty, "the log shows \(secret): \(lines.prefix(3))")
      }
      let lines = try output.split(separator: "\n").map { line in
        try #require(
          try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String], "\(line)")
      }
      #expect(lines.count > 8)
      #expect(lines.allSatisfy { $0["time"] != nil && $0["level"] != nil && $0["message"] != nil })
      #expect(lines.allSatisfy { $0["cause"] != nil }, "\(lines.filter { $0["cause"] == nil })")
      for cause in ["started", "reloading", "stopping"] {
        #expect(lines.contains { $0["cause"] == cause }, "\(cause)")
      }
      #expect(lines.contains { $0["message"]?.hasPrefix("ready: streaming") == true && $0["lsn"] != nil })
      #expect(lines.last?["cause"] == "stopped", "\(String(describing: lines.last))")
      // It was refused many times, and logged once with the rest counted.
      let refusals = lines.filter { $0["cause"] == "redis_error" }
      #expect((1...2).contains(refusals.count), "\(refusals)")
      #expect(refusals.last?["message"]?.contains("(repeated ") == true, "\(refusals)")
    }

    @Test(
      "in the journal a line has its priority, in front of text and of JSON", arguments: ["text", "json"])
    func priorities(format: String) throws {
      let folder = try TemporaryFolder()
      let port = try LoopbackConnection.freePort()
      let log = try folder.write("", to: "cdcd.log")
      let environment = ["JOURNAL_STREAM": try Self.stream(log)]
      let cdcd = try CDCDProcess.withoutServers(
        in: folder, port: port, log: "{format: \(format)}", environment: environment)
      try eventually("both servers are missed") {
        let output = try cdcd.process.output
        return output.contains("source_unavailable") && output.contains("redis_connection")
      }
      let begin = format == "json" ? ">{\"time\":" : ">"
      let lines = try cdcd.process.output.split(separator: "\n")
      #expect(lines.contains { $0.hasPrefix("<6" + begin) && $0.contains("has started") }, "\(lines)")
      #expect(lines.contains { $0.hasPrefix("<4" + begin) && $0.contains("source_unavailable") }, "\(lines)")
      #expect(
        lines.allSatisfy { $0.dropFirst(2).hasPrefix(begin) && "34567".contains($0.dropFirst().prefix(1)) })

      // What keeps it from starting is an error, too: its address is taken.
      let second = try CDCDProcess.withoutServers(
        in: folder, port: port, log: "{format: \(format)}", environment: environment)
      #expect(try second.process.waitForExit() == 1)
      #expect(
        try second.process.output.split(separator: "\n").contains {
          $0.hasPrefix("<3" + begin) && $0.contains("cannot listen on")
        })
    }

    @Test("a file that is wrong is an error in the journal")
    func wrongFile() throws {
      let folder = try TemporaryFolder()
      let path = try folder.write("source: {postgers: x}\n", to: "rules.yaml")
      let log = try folder.write("", to: "cdcd.log")
      let cdcd = try CDCDProcess(
        ["run"], configuration: path, httpPort: 1, log: log,
        environment: ["JOURNAL_STREAM": try Self.stream(log)])
      #expect(try cdcd.process.waitForExit() == 78)
      let lines = try cdcd.process.output.split(separator: "\n")
      #expect(lines.count > 1 && lines.allSatisfy { $0.hasPrefix("<3>" + path) }, "\(lines)")
    }

    @Test("an error of PostgreSQL is told without the value that it quotes")
    func quotedValues() throws {
      let installation = try Installation(start: false)
      let session = try CatalogSession(connection: installation.postgres.url)
      try session.execute("CREATE TABLE unique_emails (email text PRIMARY KEY)")
      let insertion = "INSERT INTO unique_emails VALUES ('\(Self.value)')"
      try session.execute(insertion)
      for (sql, told) in [
        (insertion, "duplicate key value violates unique constraint \"unique_emails_pkey\" (SQLSTATE 23505)"),
        (
          #"SELECT convert_from('\xff', 'UTF8')"#,
          "invalid byte sequence for encoding \"UTF8\" (SQLSTATE 22021)"
        ),
      ] {
        let error = #expect(throws: CatalogError.self) { _ = try session.rows(sql) }
        #expect(error?.description == told)
      }
    }

    /// What systemd says of a descriptor of this file.
    private static func stream(_ path: String) throws -> String {
      var facts = stat()
      guard unsafe stat(path, &facts) == 0 else { throw TimedOut(description: "no \(path)") }
      return "\(facts.st_dev):\(facts.st_ino)"
    }
  }
}
