import Foundation
import Invalidation
import RedisSink
import Testing

@testable import Daemon

@Suite struct ConfigurationTests {
  static func rules(_ rules: String) throws -> [Rule] {
    let text = "source: {postgres: 'host=db'}\nredis: {url: 'redis://localhost'}\nrules:\n" + rules
    return try Configuration.read(text, file: "r.yaml", environment: [:]).rules
  }

  @Test func readsEverything() throws {
    let text = """
      source:
        postgres: postgresql://cdcd:secret@db.internal/app?sslmode=require
        mode: pgoutput
        slot: my_slot
        publication: My Publication
        replicas: []
        retain: 5m
        lossless_crash: true
        lossless_failover: true
      redis:
        url: redis://user:p%40ss@[::1]:6380/3
        command: del
        leases: false
        flush_rate: 1200
      http:
        listen: "[::1]:9811"
      log:
        level: warning
        format: json
      on_gap: halt
      rules:
        - table: public.users
          keys: ["user:{id}", "user:email:{email|lower}"]
        - name: order-status
          table: Sales."Order Items"
          on: [update, delete]
          when_changed: [status, total]
          where: {status: [paid, shipped], deleted_at: null}
          keys: ["{Order Id}"]
          pattern: "[0-9]*"
          on_gap: flush
      """
    let configuration = try Configuration.read(text, file: "r.yaml", environment: [:])
    #expect(configuration.source.postgres == "postgresql://cdcd:secret@db.internal/app?sslmode=require")
    #expect(configuration.source.redacted == "postgresql://cdcd@db.internal/app")
    #expect(configuration.source.slot == "my_slot")
    #expect(configuration.source.publication == "My Publication")
    #expect(configuration.source.retain == .seconds(300))
    #expect(configuration.source.losslessCrash && configuration.source.losslessFailover)
    #expect(
      configuration.redis.address
        == RedisAddress(
          endpoint: .tcp(host: "::1", port: 6380), username: "user", password: "p@ss", database: 3))
    #expect(configuration.redis.address.redacted == "redis://[::1]:6380/3")
    #expect(configuration.redis.command == .del)
    #expect(!configuration.redis.leases)
    #expect(configuration.redis.flushRate == 1_200)
    #expect(configuration.http.listen == [.tcp(host: "::1", port: 9811)])
    #expect("\(configuration.log.level)" == "warning")
    #expect(configuration.log.format == .json)
    #expect(configuration.onGap == .halt)
    #expect(configuration.rules.map(\.name) == ["public.users", "order-status"])
    #expect(
      configuration.rules[1]
        == Rule(
          name: "order-status", table: TableName(schema: "sales", name: "Order Items"),
          operations: [.update, .delete], whenChanged: ["status", "total"],
          conditions: [
            Rule.Condition(column: "status", values: ["paid", "shipped"]),
            Rule.Condition(column: "deleted_at", values: [nil]),
          ],
          templates: [try KeyTemplate(parsing: "{Order Id}")], pattern: "[0-9]*", onGap: .flush))
  }

  @Test func hasDefaults() throws {
    let text = """
      source: {postgres: "host=db"}
      redis: {url: redis://localhost}
      rules: [{table: users, keys: ["u:{id}"]}]
      """
    let configuration = try Configuration.read(text, file: "r.yaml", environment: [:])
    #expect(configuration.source.slot == "cdcd")
    #expect(configuration.source.publication == "cdcd")
    #expect(configuration.source.retain == .seconds(60))
    #expect(!configuration.source.losslessCrash && !configuration.source.losslessFailover)
    #expect(configuration.redis.address == RedisAddress(endpoint: .tcp(host: "localhost", port: 6379)))
    #expect(configuration.redis.command == .unlink)
    #expect(configuration.redis.leases)
    #expect(configuration.redis.flushRate == 50_000)
    #expect(configuration.http.listen == [.tcp(host: "127.0.0.1", port: 9810)])
    #expect(configuration.http.token == nil)
    #expect(configuration.onGap == .flush)
    #expect(configuration.rules[0].operations == .all)
    #expect(configuration.rules[0].table == TableName(schema: "public", name: "users"))
  }

  @Test(
    arguments: [
      ("localhost:80", [.tcp(host: "localhost", port: 80)]), ("':80'", [.tcp(host: "0.0.0.0", port: 80)]),
      ("'[::]:0'", [.tcp(host: "::", port: 0)]),
      ("unix:/run/cdcd/http.sock", [.unix(path: "/run/cdcd/http.sock")]),
      ("unix:///run/http.sock", [.unix(path: "/run/http.sock")]), ("off", []), ("'${NOTHING:-off}'", []),
      ("[10.0.0.7:1, 'unix:/s']", [.tcp(host: "10.0.0.7", port: 1), .unix(path: "/s")]),
    ] as [(String, [ListenAddress])])
  func readsAddresses(written: String, addresses: [ListenAddress]) throws {
    let text = """
      source: {postgres: "host=db"}
      redis: {url: redis://localhost}
      http: {listen: \(written), token: '${TOKEN}'}
      rules: [{table: users, keys: ["u:{id}"]}]
      """
    let token = "0123456789abcdef"
    let http = try Configuration.read(text, file: "r.yaml", environment: ["TOKEN": token]).http
    #expect(http.listen == addresses)
    #expect(http.token == AccessToken(token))
  }

  @Test(
    arguments: [
      (":9810", nil, true), ("[::]:9810", nil, true), ("10.0.0.7:1", nil, true), ("db.internal:1", nil, true),
      (":9810", "0123456789abcdef", false), ("127.0.0.1:1", nil, false), ("127.1.2.3:1", nil, false),
      ("[::1]:1", nil, false), ("localhost:1", nil, false), ("127.evil.example:1", nil, true),
      ("unix:/s", nil, false),
    ] as [(String, String?, Bool)])
  func anOpenAddressWithoutATokenIsTold(address: String, token: String?, isTold: Bool) throws {
    var http = Configuration.HTTP()
    http.listen = [.unix(path: "/other"), try #require(ListenAddress(address))]
    http.token = token.flatMap { AccessToken($0) }
    let findings = HTTPCheck.findings(for: http)
    #expect(findings.count == (isTold ? 1 : 0))
    #expect(findings.allSatisfy { $0.severity == .warning && $0.remedy.contains("http.token") })
  }

  @Test func skipsAByteOrderMark() throws {
    let text = """
      source: {postgres: "host=db"}
      redis: {url: redis://localhost}
      rules: [{table: users, keys: ["u:{id}"]}]
      """
    let file = FileManager.default.temporaryDirectory.appending(path: "cdcd-mark-\(UUID().uuidString).yaml")
    defer { try? FileManager.default.removeItem(at: file) }
    try Data([0xEF, 0xBB, 0xBF] + Array(text.utf8)).write(to: file)
    let configuration = try Configuration.load(path: file.path, environment: [:])
    #expect(configuration.source.postgres == "host=db")
  }

  @Test func takesPorts() throws {
    for connection in [
      "host=a,b port=5432", "host=a,b port=,6543", "host=h port=' 5432 '", "postgresql://u@h:65535/d",
      "host=h port=''",
      "postgresql://u@h1:1,h2/d",
    ] {
      let text = """
        source: {postgres: "\(connection)"}
        redis: {url: redis://localhost}
        rules: [{table: users, keys: ["cdcdx:{id}", "{id}", "{id}cdcd:"], pattern: "*"}]
        """
      let configuration = try Configuration.read(text, file: "r.yaml", environment: [:])
      #expect(configuration.source.postgres == connection)
    }
  }

  @Test func readsTheExample() throws {
    let path = Repository.root.appending(path: "deploy/rules.example.yaml").path
    let environment = ["CDCD_REDIS": "unix:///run/redis.sock?db=2"]
    let configuration = try Configuration.load(path: path, environment: environment)
    #expect(configuration.source.postgres == "postgresql://cdcd@localhost/app")
    #expect(
      configuration.redis.address == RedisAddress(endpoint: .unix(path: "/run/redis.sock"), database: 2))
    #expect(
      configuration.rules.map(\.name)
        == ["public.users", "user-count", "orders", "spending", "public.order_items", "messages"])
    #expect(configuration.rules.allSatisfy { !$0.flushPatterns.isEmpty })
  }

  @Test func namesRules() throws {
    let rules = try Self.rules(
      """
      - {table: users, keys: ["a:{id}"]}
      - {table: users, keys: ["b:{id}"]}
      - {name: public.users#2, table: users, keys: ["c:{id}"]}
      - {table: users, keys: ["d:{id}"]}
      """)
    #expect(rules.map(\.name) == ["public.users", "public.users#3", "public.users#2", "public.users#4"])
  }

  @Test(
    arguments: [
      ("null", [nil]), ("~", [nil]), ("", [nil]), ("'null'", ["null"]),
      ("true", ["t"]), ("false", ["f"]), ("'true'", ["true"]), ("'yes'", ["yes"]),
      ("007", ["007"]), ("1.50", ["1.50"]), ("-3", ["-3"]), ("1e3", ["1e3"]),
      ("2024-01-01", ["2024-01-01"]), ("two words", ["two words"]), ("''", [""]),
      ("[paid, null, true, 1]", ["paid", nil, "t", "1"]),
    ] as [(String, [String?])])
  func readsConditions(value: String, expected: [String?]) throws {
    let rules = try Self.rules("- {table: users, where: {Column Ä: \(value)}, keys: [\"a:{id}\"]}\n")
    #expect(rules[0].conditions == [Rule.Condition(column: "Column Ä", values: expected)])
  }

  @Test(arguments: [
    ("users", "public", "users"), ("Users", "public", "users"), ("App.Users", "app", "users"),
    (#""Users""#, "public", "Users"), (#"public."Order Items""#, "public", "Order Items"),
    (#""a.b"."c""d""#, "a.b", #"c"d"#), ("Größe", "public", "größe"), ("t$1", "public", "t$1"),
  ])
  func readsTables(sql: String, schema: String, name: String) throws {
    #expect(try TableName(sql: sql) == TableName(schema: schema, name: name))
  }

  @Test(arguments: [
    "", ".", "a.", ".b", "a b", "1a", #""""#, #""a"b"#, "a.b.c", String(repeating: "x", count: 64),
  ])
  func refusesTables(sql: String) {
    #expect(throws: SQLNameError.self) { try TableName(sql: sql) }
  }

  @Test func needsNoPatternWhereNothingIsFlushed() throws {
    let rules = try Self.rules(
      """
      - {table: users, keys: ["{id}"], on_gap: halt}
      - {table: users, keys: ["{id}"], on_gap: ignore}
      - {table: users, keys: ["{id}"], pattern: "*"}
      - {table: users, keys: ["{{{id}}}"]}
      """)
    #expect(rules.map(\.onGap) == [.halt, .ignore, nil, nil])
  }

  @Test func takesMessages() throws {
    let rules = try Self.rules(
      #"- {messages: true, pattern: "note:*", redelete_after: 1s, on_gap: halt}"#
        + "\n- {name: messages, table: users, keys: ['a:{id}']}")
    #expect(
      rules[0]
        == Rule(messages: "messages#2", pattern: "note:*", onGap: .halt, redeleteAfter: .seconds(1)))
    #expect(rules[0].flushPatterns == [Array("note:*".utf8)])
    let rule = try Self.rules("- {messages: true, on_gap: ignore}")[0]
    #expect(rule == Rule(messages: "messages", onGap: .ignore) && rule.flushPatterns.isEmpty)
  }

  /// The pattern is for what the templates do not cover, so it comes on top of theirs.
  @Test func aPatternDoesNotHideTheTemplates() throws {
    let rules = try Self.rules(#"- {table: users, keys: ["a:{id}", "{id}:b"], pattern: "*:b"}"#)
    #expect(rules[0].flushPatterns.map { String(decoding: $0, as: UTF8.self) } == ["a:*", "*:b"])
  }

  @Test(arguments: [
    ("redis://localhost", "redis://localhost:6379/0"),
    ("redis://:pw@host:1/2", "redis://host:1/2"),
    ("redis://user:p%2Fw@[fe80::1]/", "redis://[fe80::1]:6379/0"),
    ("redis://user:p@w@host", "redis://host:6379/0"),
    ("unix:///run/a%20b.sock", "unix:///run/a b.sock?db=0"),
    ("unix://user:pw@/run/redis.sock?db=3", "unix:///run/redis.sock?db=3"),
  ])
  func readsRedisURLs(url: String, redacted: String) throws {
    #expect(try RedisAddress(url: url).redacted == redacted)
  }

  @Test(arguments: [
    ("postgresql://u@h/db", "postgresql://u@h/db"),
    ("postgres://u:secret@h:1,i:2/db?password=secret", "postgres://u@h:1,i:2/db"),
    ("postgresql://u:sec@secret@h/db", "postgresql://u@h/db"),
    ("postgresql://u:sec?secret@h/db", "postgresql://..."),
    ("postgresql:///db?host=/tmp&password=secret", "postgresql:///db"),
    ("host=h password=secret dbname=d", "host=h dbname=d"),
    ("password = 'sec\\' host=secret' user = 'a b'", "user=a b"),
    ("dbname='postgresql://u:secret@h/db'", "dbname=..."),
  ])
  func redactsPostgres(connection: String, redacted: String) {
    #expect(Configuration.Source.isConnectionString(connection) == !connection.contains("sec@secret"))
    #expect(Configuration.Source(postgres: connection).redacted == redacted)
  }

  /// The names that users are promised; what is not built yet is refused by name.
  @Test func knowsEveryName() throws {
    let text = """
      source:
        postgres: postgresql://cdcd@db.internal/app   # any libpq URI or keyword string
        mode: pgoutput            # pgoutput | wal2json | notify
        slot: cdcd                # pgoutput, wal2json
        publication: cdcd         # pgoutput
        replicas: [host=standby]  # read replicas whose readers fill the cache
        retain: 60s
      redis:
        url: redis://localhost:6379/0
        command: unlink           # unlink | del
        leases: true              # also delete each key's lease
        flush_rate: 50000         # the most keys a second that a flush deletes
      http:
        listen: [127.0.0.1:9810, unix:/run/cdcd/http.sock]   # one or more, or off
        token: 0123456789abcdef
      log:
        level: info               # trace debug info notice warning error
        format: text              # text | json
      on_gap: flush               # flush | halt | ignore
      rules:
        - table: public.users                   # a partitioned table names its root
          keys: ["user:{id}", "user:email:{email|lower}"]
        - name: order-status                    # optional; the table's name otherwise
          table: public.orders
          on: [update, delete]                  # insert update delete truncate; all by default
          when_changed: [status, total]         # updates that touch none of these are ignored
          where: {status: [paid, shipped], deleted_at: null}   # old or new row matches
          keys: ["order:{id}", "user:{user_id}:orders"]
          redelete_after: 500ms                 # for plain SET readers
          pattern: "order:*"                    # flush pattern, when the template gives none
        - messages: true                        # keys that transactions name
          pattern: "page:*"
      """
    let configuration = try Configuration.read(text, file: "r.yaml", environment: [:])
    #expect(configuration.source.replicas == ["host=standby"])
    #expect(configuration.rules.map(\.redeleteAfter) == [nil, .milliseconds(500), nil])
  }
}
