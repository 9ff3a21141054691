import Invalidation
import Logging
import PostgresSource
import RedisSink
import Yams

/// Every section of the file but `rules`.
extension ConfigurationReader {
  mutating func source(_ node: Node?) -> Configuration.Source? {
    let fields = fields(
      of: node, of: "source",
      known: [
        "postgres", "mode", "slot", "publication", "replicas", "retain", "lossless_crash",
        "lossless_failover", "wakeup", "poll",
      ],
      required: ["postgres"])
    guard let fields else { return nil }
    let mode = choice(fields["mode"]) ?? SourceMode.pgoutput
    refuseForeign(fields, in: mode)
    let replicas = replicas(fields["replicas"])
    let slot = value(fields["slot"], expected: "1 to 63 of a-z, 0-9 and _") { Self.slotName($0) }
    let publication = value(fields["publication"], expected: "a name of 1 to 63 bytes") {
      (1...63).contains($0.utf8.count) && !$0.utf8.contains(0) ? $0 : nil
    }
    let retain = value(fields["retain"], expected: "a number and its unit, as in 500ms, 60s, 5m or 1h") {
      Duration(text: $0)
    }
    let losslessCrash = boolean(fields["lossless_crash"])
    let wakeup: Configuration.Source.Wakeup? = choice(fields["wakeup"])
    let poll = value(fields["poll"], expected: "1ms to 5s") { text in
      Duration(text: text).flatMap { (.milliseconds(1) ... .seconds(5)).contains($0) ? $0 : nil }
    }
    let losslessFailover = boolean(fields["lossless_failover"])
    let postgres = value(
      fields["postgres"],
      expected:
        "postgresql://user@host/database (@ in a password is %40) or host=... dbname=..."
    ) {
      Configuration.Source.isConnectionString($0) ? $0 : nil
    }
    guard let postgres else { return nil }
    requirePorts(postgres, at: fields["postgres"]?.place)
    var source = Configuration.Source(postgres: postgres)
    source.mode = mode
    source.slot = slot ?? source.slot
    source.publication = publication ?? source.publication
    source.replicas = replicas
    source.retain = retain ?? source.retain
    source.losslessCrash = losslessCrash ?? source.losslessCrash
    source.wakeup = wakeup ?? source.wakeup
    source.poll = poll
    source.losslessFailover = losslessFailover ?? source.losslessFailover
    return source
  }

  private mutating func replicas(_ node: Node?) -> [String] {
    var replicas: [String] = []
    var names: Set<String> = []
    for entry in list(node, of: "connection strings", mayBeEmpty: true) ?? [] {
      let expected = "postgresql://user@host/database or host=... dbname=..., one server in each entry"
      let replica = value(entry, expected: expected) { Configuration.Source.isReplica($0) ? $0 : nil }
      guard let replica else { continue }
      requirePorts(replica, at: entry.place)
      let name = Configuration.Source.redacted(replica)
      if !names.insert(name).inserted {
        problem("the replica \(name) a second time", expected: "each replica once", at: entry.place)
      }
      replicas.append(replica)
    }
    return replicas
  }

  /// libpq looks at the port only when it connects.
  private mutating func requirePorts(_ connection: String, at place: Place?) {
    guard !PostgresSourceConfiguration.hasValidPorts(connection: connection) else { return }
    problem(
      "a port that is no number from 1 to 65535",
      expected: "postgresql://user@host:5432/database or port=5432",
      at: place)
  }

  /// Options of another mode: whoever wrote them expects something of them.
  private mutating func refuseForeign(_ fields: [String: Node], in mode: SourceMode) {
    let owners: [(option: String, modes: [SourceMode])] = [
      ("publication", [.pgoutput]), ("retain", [.pgoutput, .wal2json]),
      ("lossless_failover", [.pgoutput, .wal2json]), ("wakeup", [.notify]),
      ("poll", [.notify]),
    ]
    for owner in owners where !owner.modes.contains(mode) {
      guard let node = fields[owner.option] else { continue }
      let modes = owner.modes.map(\.rawValue).joined(separator: " or ")
      problem(
        "\(owner.option), which \(mode.rawValue) does not use",
        expected: "source.mode: \(modes), or no \(owner.option)", at: node.place)
    }
  }

  /// Source: PostgreSQL manual, chapter 27.2.6.1 "Querying and Manipulating Replication Slots".
  private static func slotName(_ text: String) -> String? {
    let isAllowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    return isAllowed && (1...63).contains(text.utf8.count) ? text : nil
  }

  mutating func redis(_ node: Node?) -> Configuration.Redis? {
    let fields = fields(
      of: node, of: "redis", known: ["url", "command", "leases", "flush_rate"], required: ["url"])
    guard let fields else { return nil }
    let command: EngineConfiguration.DeleteCommand? = choice(fields["command"])
    let leases = boolean(fields["leases"])
    let flushRate = value(fields["flush_rate"], expected: "keys a second, 1 to 10000000") { text in
      text.utf8.allSatisfy { (0x30...0x39).contains($0) }
        ? Int(text).flatMap { (1...10_000_000).contains($0) ? $0 : nil } : nil
    }
    let expected = "redis://user:password@host:port/database or unix:///path?db=database"
    guard let url = text(fields["url"], expected: expected) else { return nil }
    do {
      var redis = Configuration.Redis(address: try RedisAddress(url: url.value))
      redis.command = command ?? redis.command
      redis.leases = leases ?? redis.leases
      redis.flushRate = flushRate ?? redis.flushRate
      return redis
    } catch {
      problem(error.found, expected: error.expected, at: url.place)
      return nil
    }
  }

  mutating func http(_ node: Node?) -> Configuration.HTTP? {
    guard let fields = fields(of: node, of: "http", known: ["listen", "token"]) else { return nil }
    var http = Configuration.HTTP()
    http.listen = listen(fields["listen"]) ?? http.listen
    http.token = token(fields["token"])
    return http
  }

  private mutating func listen(_ node: Node?) -> [ListenAddress]? {
    guard case .sequence? = node else {
      return value(node, expected: "\(ListenAddress.expected), a list of them, or off") { text in
        text == "off" ? [] : ListenAddress(text).map { [$0] }
      }
    }
    var addresses: [ListenAddress] = []
    for entry in list(node, of: "addresses, or off") ?? [] {
      let address = value(entry, expected: ListenAddress.expected) { ListenAddress($0) }
      guard let address else { continue }
      if addresses.contains(address) {
        problem("\(address) a second time", expected: "each address once", at: entry.place)
      }
      addresses.append(address)
    }
    return addresses
  }

  /// Shows nothing of it, however wrong it is.
  private mutating func token(_ node: Node?) -> AccessToken? {
    let expected =
      "at least \(AccessToken.shortest) visible ASCII characters, as `openssl rand -hex 16` prints"
    guard let text = text(node, expected: expected) else { return nil }
    guard let token = AccessToken(text.value) else {
      problem(
        AccessToken.isShort(text.value)
          ? "a token of \(text.value.unicodeScalars.count) characters" : "a token with other characters",
        expected: expected, at: text.place)
      return nil
    }
    return token
  }

  mutating func log(_ node: Node?) -> Configuration.Log? {
    guard let fields = fields(of: node, of: "log", known: ["level", "format"]) else { return nil }
    var log = Configuration.Log()
    log.level = choice(fields["level"], of: [.trace, .debug, .info, .notice, .warning, .error]) ?? log.level
    log.format = choice(fields["format"]) ?? log.format
    return log
  }
}
