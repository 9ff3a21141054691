import Foundation
import Synchronization
import Testing

/// PostgreSQL, Redis and cdcd set up together, each test with its own.
final class Installation: Sendable {
  let folder: TemporaryFolder
  let postgres: PostgresServer
  let redis: RedisServer
  /// Read replicas that the configuration names, running.
  let standbys: [PostgresServer]
  private let options: Options
  private let rules: Mutex<String>
  private let source: Mutex<String>
  private let running = Mutex<CDCDProcess?>(nil)

  struct Options: Sendable {
    /// `source.mode`.
    var mode = Installation.mode
    /// SQL that makes the tables.
    var schema = ExampleTables.schema
    /// The list under `rules:`.
    var rules = ExampleTables.rules
    var retain = "2s"
    /// `source.wakeup`, of notify.
    var wakeup = "notify"
    /// `source.lossless_crash`: the tests commit synchronously, and a flush after each crash would hide what is missed.
    var losslessCrash = true
    /// `source.lossless_failover`.
    var losslessFailover = false
    var onGap = "flush"
    /// `redis.flush_rate`.
    var flushRate = 50_000
    var postgresSettings: [String] = []
    /// So many read replicas.
    var standbys = 0
    var standbySettings: [String] = []
    var redisOptions = ["--save", "", "--appendonly", "no"]
  }

  /// The mode of tests that do not choose one.
  static let mode = ProcessInfo.processInfo.environment["SOURCE_MODE"] ?? "pgoutput"
  /// For a test of what only a stream has: a slot, a walsender, replica identities, a replay.
  static let streamOnly = ConditionTrait.enabled(if: mode != "notify", "an outbox has none of it")

  /// Every `source.mode` that the server has what is needed for: the same changes delete the same keys.
  static let modes = streamingModes + ["notify"]
  /// Those that read the WAL.
  static let streamingModes = ["pgoutput"] + (PostgresServer.hasWal2json ? ["wal2json"] : [])

  var mode: String { options.mode }

  convenience init(mode: String) throws {
    var options = Options()
    options.mode = mode
    try self.init(options)
  }

  /// Starts both servers and makes the tables, and when asked to sets up and starts cdcd until it is ready.
  init(_ options: Options = Options(), start: Bool = true) throws {
    self.options = options
    rules = Mutex(options.rules)
    source = Mutex("")
    folder = try TemporaryFolder()
    postgres = try PostgresServer(in: folder, settings: options.postgresSettings)
    redis = try RedisServer(in: folder, options: options.redisOptions)
    try postgres.start()
    try redis.start()
    try postgres.query(options.schema)
    standbys = try (0..<options.standbys).map { [postgres] number in
      try PostgresServer(standbyOf: postgres, named: "standby\(number)", settings: options.standbySettings)
    }
    for standby in standbys { try standby.start() }
    if start {
      try setUp()
      try startCDCD().waitUntilReady()
    }
  }

  /// The running cdcd.
  var cdcd: CDCDProcess {
    get throws {
      guard let cdcd = running.withLock({ $0 }) else { throw TimedOut(description: "cdcd was not started") }
      return cdcd
    }
  }

  /// The list under `rules:` of whatever starts from now on.
  func setRules(_ text: String) { rules.withLock { $0 = text } }

  /// The server that whatever starts from now on reads.
  func setSource(_ url: String) { source.withLock { $0 = url } }

  /// Stops cdcd in order.
  func stopCDCD() throws {
    let process = try cdcd.process
    process.signal(SIGTERM)
    let status = try process.waitForExit()
    guard status == 0 else { throw TimedOut(description: "cdcd ended with \(status)") }
  }

  /// How often a gap was found for this reason.
  func gaps(_ reason: String) throws -> Int {
    let prefix = "cdcd_gaps_total{reason=\"\(reason)\"} "
    let line = try cdcd.get("/metrics").body.split(separator: "\n").first { $0.hasPrefix(prefix) }
    return line.flatMap { Int($0.dropFirst(prefix.count)) } ?? 0
  }

  /// Writes a configuration and answers with its path.
  func configuration(httpPort: Int, named name: String = "rules.yaml") throws -> String {
    try folder.write(
      """
      source:
        postgres: \(source.withLock { $0.isEmpty ? postgres.url : $0 })
        mode: \(options.mode)
        \(options.mode == "notify" ? "wakeup: \(options.wakeup)" : "retain: \(options.retain)")
        lossless_crash: \(options.losslessCrash)
        \(options.mode == "notify" ? "" : "lossless_failover: \(options.losslessFailover)")
        replicas: [\(standbys.map(\.url).joined(separator: ", "))]
      redis:
        url: \(redis.url)
        flush_rate: \(options.flushRate)
      http:
        listen: 127.0.0.1:\(httpPort)
      log:
        level: debug
      on_gap: \(options.onGap)
      rules:
      \(rules.withLock { $0 })
      """, to: name)
  }

  /// Runs `cdcd setup`, which has to succeed.
  func setUp() throws {
    let result = try command("setup")
    guard result.status == 0 else { throw TimedOut(description: "cdcd setup: \(result.output)") }
  }

  /// Takes away what `setUp` has installed to tell of DDL, as where there was no superuser.
  func dropEventTriggers() throws {
    try postgres.query(
      ["altering", "altered", "dropping", "dropped"].map { "DROP EVENT TRIGGER cdcd_\($0)" }.joined(
        separator: "; "))
  }

  /// Runs a subcommand to its end.
  func command(_ words: String...) throws -> CommandResult {
    let path = try configuration(httpPort: try LoopbackConnection.freePort(), named: "command.yaml")
    return try CommandResult.of([CDCDProcess.binary] + words + ["--config", path], in: folder)
  }

  /// Starts cdcd, or one more with another name; does not wait until it is ready. `words` come before
  /// `--config`.
  @discardableResult
  func startCDCD(
    named name: String = "cdcd", with words: [String] = [], environment: [String: String] = [:]
  ) throws -> CDCDProcess {
    let port = try LoopbackConnection.freePort()
    let path = try configuration(httpPort: port, named: name + ".yaml")
    let started = try CDCDProcess(
      words, configuration: path, httpPort: port, log: folder.file(name + ".log"), environment: environment)
    running.withLock { $0 = started }
    return started
  }

  /// Writes other rules into the file of the running cdcd and sends SIGHUP; does not wait.
  func reload(_ text: String) throws {
    setRules(text)
    let cdcd = try cdcd
    _ = try configuration(httpPort: cdcd.httpPort, named: "cdcd.yaml")
    cdcd.process.signal(SIGHUP)
  }

  /// Waits until the log of the running cdcd has so many lines with this text.
  func expectLog(_ text: String, count: Int = 1) throws {
    try eventually("the log says \(text)") {
      try cdcd.process.output.split(separator: "\n").count { $0.contains(text) } >= count
    }
  }

  /// Waits until earlier changes are settled, caches a value under each key and grants a lease on it, runs the
  /// statements, waits until they are settled, and answers with those of the keys that went, in the order given. A lease has to go exactly when
  /// its key goes.
  func keysGone(
    of keys: [String], after sql: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> [String] {
    let client = try redis.client()
    try expectSettled(sourceLocation: sourceLocation)
    for key in keys {
      try client("SET", key, "cached")
      try client("SET", Lease.key(for: key), "token")
    }
    try postgres.query(sql)
    try expectSettled(sourceLocation: sourceLocation)
    return try keys.filter { key in
      let gone = try !client.exists(key)
      let leaseGone = try !client.exists(Lease.key(for: key))
      #expect(gone == leaseGone, "\(key) and its lease go together", sourceLocation: sourceLocation)
      return gone
    }
  }

  /// Stops cdcd, runs the statements, each in a transaction of its own, caches a value under each key, starts cdcd, waits
  /// until everything is settled, and answers with the keys that went, in the order given.
  func keysGone(of keys: [String], afterWhileDown statements: [String]) throws -> [String] {
    try stopCDCD()
    for sql in statements { try postgres.query(sql) }
    let client = try redis.client()
    for key in keys { try client("SET", key, "cached") }
    try startCDCD().waitUntilReady()
    try expectSettled()
    return try keys.filter { try !client.exists($0) }
  }

  /// Waits until everything that PostgreSQL has written so far is settled.
  func expectSettled(
    within limit: Duration = .seconds(20), sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let position = try postgres.insertPosition()
    let settled = try cdcd.settles(position, within: limit)
    #expect(settled, "\(position) is settled within \(limit)", sourceLocation: sourceLocation)
  }

  /// Waits until `/readyz` denies readiness with a text that contains `reason`.
  func expectNotReady(because reason: String) throws {
    try eventually("cdcd is not ready") {
      let response = try cdcd.get("/readyz")
      return response.status == 503 && response.body.contains(reason)
    }
  }

  /// Waits until the key is gone.
  func expectGone(_ key: String, within limit: Duration = .seconds(20)) throws {
    let client = try redis.client()
    try eventually(within: limit, "\(key) is gone from Redis") { try !client.exists(key) }
  }
}
