import Invalidation

/// What the model Redis does with one command: `processCommand` of Redis 7.0, as far as the Engine uses it.
extension ModelRedis {
  private enum Kind { case write, read, script, transaction, server }

  func process(_ command: [[UInt8]], on connection: RedisConnection) -> RedisReply {
    let name = String(decoding: command.first ?? [], as: UTF8.self).uppercased()
    guard let kind = ModelRedis.kind(name) else {
      world.fail("effect", "\(connection.owner): unknown Redis command \(name)")
      return error("ERR unknown command '\(name)'")
    }
    if let rejection = rejection(name, kind, connection) {
      if name == "EXEC", connection.transaction != nil {
        connection.transaction = nil
        return error("EXECABORT Transaction discarded because of: " + rejection)
      }
      if connection.transaction != nil { connection.transactionIsDirty = true }
      return error(rejection)
    }
    switch name {
    case "MULTI":
      guard connection.transaction == nil else { return error("ERR MULTI calls can not be nested") }
      connection.transaction = []
      connection.transactionIsDirty = false
      return .status(Array("OK".utf8))
    case "EXEC": return exec(connection)
    case "DISCARD":
      guard connection.transaction != nil else { return error("ERR DISCARD without MULTI") }
      connection.transaction = nil
      return .status(Array("OK".utf8))
    default: break
    }
    if connection.transaction != nil {
      connection.transaction?.append(command)
      return .status(Array("QUEUED".utf8))
    }
    return run(name, command, connection)
  }

  private static func kind(_ name: String) -> Kind? {
    switch name {
    case "UNLINK", "DEL", "SET": .write
    case "GET", "SCAN": .read
    case "EVAL": .script
    case "MULTI", "EXEC", "DISCARD": .transaction
    case "INFO", "ROLE", "PING": .server
    default: nil
    }
  }

  /// Why the command is refused before it is queued or run; nil when it is not.
  private func rejection(_ name: String, _ kind: Kind, _ connection: RedisConnection) -> String? {
    // A connection that lost its rights does not get them back.
    if connection.isUnauthenticated { return "NOAUTH Authentication required." }
    guard let trouble = rollTrouble() else { return nil }
    let inTransaction = connection.transaction != nil
    let holdsWrites = name == "EXEC" && (connection.transaction?.contains { $0.first?.first != 69 } ?? false)
    switch trouble {
    case .noauth:
      connection.isUnauthenticated = true
      return "NOAUTH Authentication required."
    case .clusterdown: return usesKeys(kind) || holdsWrites ? "CLUSTERDOWN The cluster is down" : nil
    case .tryagain:
      return usesKeys(kind) || holdsWrites ? "TRYAGAIN Multiple keys request during rehashing of slot" : nil
    case .oom:
      let refused = name == "SET" || (inTransaction && kind != .transaction)
      return refused ? "OOM command not allowed when used memory > 'maxmemory'." : nil
    case .readonly:
      let refused = kind == .write || holdsWrites
      return refused ? "READONLY You can't write against a read only replica." : nil
    case .masterdown:
      let refused = kind != .transaction && name != "INFO" && name != "ROLE"
      return refused
        ? "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'." : nil
    case .loading:
      let refused = kind != .transaction && name != "INFO" && name != "ROLE"
      return refused ? "LOADING Redis is loading the dataset in memory" : nil
    case .busy:
      return name == "MULTI" || name == "DISCARD"
        ? nil : "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    }
  }

  private func usesKeys(_ kind: Kind) -> Bool {
    switch kind {
    case .write, .read, .script: true
    case .transaction, .server: false
    }
  }

  private func exec(_ connection: RedisConnection) -> RedisReply {
    guard let queued = connection.transaction else { return error("ERR EXEC without MULTI") }
    connection.transaction = nil
    if connection.transactionIsDirty {
      return error("EXECABORT Transaction discarded because of previous errors.")
    }
    return .array(
      queued.map { command in
        run(String(decoding: command[0], as: UTF8.self).uppercased(), command, connection)
      })
  }

  private func run(_ name: String, _ command: [[UInt8]], _ connection: RedisConnection) -> RedisReply {
    let arguments = command.dropFirst().map { String(decoding: $0, as: UTF8.self) }
    switch name {
    case "UNLINK", "DEL": return delete(arguments, connection)
    case "GET": return get(arguments, connection)
    case "SET": return set(arguments, command, connection)
    case "EVAL": return evaluate(command, connection)
    case "SCAN": return scan(arguments, connection)
    case "INFO": return info(arguments)
    case "ROLE":
      return .array([.bulk(Array((trouble == .readonly ? "slave" : "master").utf8)), .integer(0), .array([])])
    default: return .status(Array("PONG".utf8))
    }
  }

  private func delete(_ keys: [String], _ connection: RedisConnection) -> RedisReply {
    guard !keys.isEmpty else { return wrongArity(connection) }
    var present: Int64 = 0
    let tick = world.nextTick()
    for key in keys {
      if let owner = KeyMapping.leased(key) { data.leaseDeletedAt[owner] = tick }
      if world.options.mutation == .stripLeases, KeyMapping.leased(key) != nil { continue }
      if world.options.mutation == .loseDeletes, roll(20) { continue }
      if case .lease(_, _, let expires)? = data[key], expires <= world.now { data.remove(key) }
      if data.remove(key) { present += 1 }
      data.deletedAt[key] = world.options.leases ? data.leaseDeletedAt[key] : tick
      data.deletedTime[key] = world.now
      world.oracle.deleted(key, by: connection)
    }
    world.trace {
      "redis: \(connection.owner) deletes \(keys.prefix(8).joined(separator: " ")) (\(keys.count))"
    }
    return .integer(present)
  }

  /// The watermark as if everything applied were settled.
  private static func atApplied(_ text: [UInt8]) -> [UInt8] {
    guard var watermark = Watermark(text) else { return text }
    watermark.settled = watermark.applied
    return watermark.text
  }

  private func get(_ arguments: [String], _ connection: RedisConnection) -> RedisReply {
    guard arguments.count == 1 else { return error("ERR wrong number of arguments for 'get' command") }
    var watermark = textOrNull(arguments[0])
    if world.options.mutation == .restartAtApplied, case .bulk(let text) = watermark,
      connection.instance.process?.hasWritten == false
    {
      watermark = .bulk(ModelRedis.atApplied(text))
    }
    world.trace { "redis: GET \(arguments[0]): " + ModelRedis.text(watermark) }
    return watermark
  }

  private func set(_ arguments: [String], _ command: [[UInt8]], _ connection: RedisConnection) -> RedisReply {
    let isConditional = arguments.dropFirst(2).contains { $0.uppercased() == "NX" }
    guard arguments.count >= 2 else { return wrongArity(connection) }
    if !isConditional {
      if arguments[0].hasPrefix("cdcd:wm:") {
        world.fail("3", "\(connection.owner): unconditional SET of the watermark destroys the evidence")
      }
      data.set(arguments[0], .text(command[2]))
      return .status(Array("OK".utf8))
    }
    guard data[arguments[0]] == nil else { return .null }
    data.set(arguments[0], .text(command[2]))
    return .status(Array("OK".utf8))
  }

  /// The compare-and-set script of contract 3, known by its text.
  private func evaluate(_ command: [[UInt8]], _ connection: RedisConnection) -> RedisReply {
    let script = command.count > 1 ? String(decoding: command[1], as: UTF8.self) : ""
    guard script.contains("redis.call('GET',KEYS[1])"), script.contains("redis.call('SET',KEYS[1],ARGV[2])"),
      command.count == (script.contains("ARGV[3]") ? 7 : 6), command[2] == [UInt8(ascii: "1")]
    else {
      world.fail("effect", "\(connection.owner): unknown script with \(command.count) arguments: \(script)")
      return error("ERR unknown script")
    }
    if command.count == 7, command[6] != Array(replicationIdentifier.utf8) {
      return .bulk(Array("other history".utf8))
    }
    let key = String(decoding: command[3], as: UTF8.self)
    var old: [UInt8] = []
    if case .text(let bytes)? = data[key] { old = bytes }
    if world.options.mutation == .restartAtApplied,
      ModelRedis.atApplied(old) == ModelRedis.atApplied(command[4])
    {
      old = command[4]
    }
    if old == command[4] || world.options.mutation == .blindWatermark {
      if trouble == .oom { return error("OOM command not allowed when used memory > 'maxmemory'. script: 1") }
      if trouble == .readonly {
        return error("READONLY You can't write against a read only replica. script: 1")
      }
      data.set(key, .text(command[5]))
      connection.chainHolds = old == command[4]
      connection.instance.process?.hasWritten = true
      world.oracle.watermarkWritten(key, command[5])
    }
    world.trace {
      "redis: \(connection.owner) CAS \(old == command[4] ? "ok" : "FAILS, holds " + ModelRedis.text(.bulk(old)))"
        + " wants " + ModelRedis.text(.bulk(command[5]))
    }
    return .bulk(old)
  }

  private func scan(_ arguments: [String], _ connection: RedisConnection) -> RedisReply {
    guard let cursor = arguments.first.flatMap({ UInt64($0) }) else { return wrongArity(connection) }
    var pattern: [UInt8] = [UInt8(ascii: "*")]
    var count = 10
    var index = 1
    while index + 1 < arguments.count {
      switch arguments[index].uppercased() {
      case "MATCH": pattern = Array(arguments[index + 1].utf8)
      case "COUNT": count = Int(arguments[index + 1]) ?? 0
      default: return wrongArity(connection)
      }
      index += 2
    }
    guard count > 0, index == arguments.count else { return wrongArity(connection) }
    // Small pages, so that a pass takes several rounds; keys younger than the pass are not returned.
    count = min(count, 1 + data.order.count / world.options.scanPages)
    if world.options.mutation == .noSecondRound, connection.instance.isInSecondRound {
      return .array([.bulk([UInt8(ascii: "0")]), .array([])])
    }
    if cursor == 0 {
      let rules = Set(connection.instance.status()?.openFlushes.map(\.rule) ?? [])
      connection.scan = RedisData.Pass(
        pattern: pattern, rules: rules, begun: world.nextTick(), time: world.now)
    }
    guard let pass = connection.scan, pass.pattern == pattern else {
      world.fail("effect", "\(connection.owner): SCAN with a cursor that Redis has not given for its pattern")
      return error("ERR invalid cursor")
    }
    let position = Int(cursor & 0xFFFF_FFFF)
    let end = cursor == 0 ? data.order.count : min(Int(cursor >> 32), data.order.count)
    let stop = min(end, position + count)
    var found: [RedisReply] = []
    for key in data.order[min(position, stop)..<stop] {
      guard let key, Glob.matches(pattern, Array(key.utf8)) else { continue }
      found.append(.bulk(Array(key.utf8)))
      if pass.takes(key) || KeyMapping.leased(key) != nil { world.oracle.scanReturned(key) }
    }
    var next: UInt64 = 0
    if stop < end { next = UInt64(end) << 32 | UInt64(stop) } else { finish(pass, connection) }
    world.trace {
      "redis: SCAN \(cursor) \(String(decoding: pattern, as: UTF8.self)): \(found.count), next \(next)"
    }
    return .array([.bulk(Array(String(next).utf8)), .array(found)])
  }

  private func finish(_ pass: RedisData.Pass, _ connection: RedisConnection) {
    connection.scan = nil
    data.passes.removeAll { $0.pattern == pass.pattern && $0.rules == pass.rules }
    data.passes.append(pass)
  }

  private func info(_ sections: [String]) -> RedisReply {
    let role = trouble == .readonly ? "slave" : "master"
    var text = ""
    let wanted = sections.map { $0.lowercased() }
    func wants(_ section: String) -> Bool {
      wanted.isEmpty || wanted.contains { $0 == section || ["all", "default", "everything"].contains($0) }
    }
    if wants("server") { text += "# Server\r\nredis_version:7.0.15\r\nrun_id:\(runIdentifier)\r\n\r\n" }
    if wants("replication") {
      text += "# Replication\r\nrole:\(role)\r\nmaster_replid:\(replicationIdentifier)\r\n\r\n"
    }
    return .bulk(Array(text.utf8))
  }

  private func textOrNull(_ key: String) -> RedisReply {
    switch data[key] {
    case .text(let bytes): .bulk(bytes)
    case .cached(let snapshot): .bulk(Array("value of \(snapshot.tick)".utf8))
    case .lease(let token, _, _): .bulk(Array(String(token).utf8))
    case nil: .null
    }
  }

  private static func text(_ reply: RedisReply) -> String {
    if case .bulk(let bytes) = reply { "'" + String(decoding: bytes, as: UTF8.self) + "'" } else { "nothing" }
  }

  private func wrongArity(_ connection: RedisConnection) -> RedisReply {
    world.fail("effect", "\(connection.owner): wrong arguments of a Redis command")
    return error("ERR syntax error")
  }

  private func error(_ message: String) -> RedisReply { .error(Array(message.utf8)) }
}
