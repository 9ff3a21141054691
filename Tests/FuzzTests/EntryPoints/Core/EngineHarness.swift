@testable import Invalidation

/// The Engine of a daemon that streams, and servers that answer whatever the input says.
///
/// It objects to effects that make no sense, and to a message that cannot be read and has no consequence.
struct EngineHarness {
  private(set) var engine: Engine
  private(set) var now = Moment(monotonic: 1_000_000_000, wall: 1_000_000)
  private let plugin: SourceMode
  private var isAskedForRetention = false

  /// After a normal start: the first flush is done, and nothing is under way.
  init(_ plugin: SourceMode) throws {
    self.plugin = plugin
    let configuration = EngineConfiguration(
      rules: Self.rules, slot: "cdcd", runIdentifier: "run", flushRate: 1_000_000, mode: plugin)
    engine = Engine(configuration: configuration, seed: 1, now: now)
    try settle()
    try handle(.sourceConnected(Self.facts))
    try handle(.redisConnected(target: 0))
    try acknowledge(.max)
    try handle(.replicationStarted(confirmedFlush: Self.facts.confirmedFlush))
    for _ in 0..<30 {
      try acknowledge(.max)
      try answer([])
      try pass(milliseconds: 100)
    }
    try require(
      engine.status(now: now).notReady.isEmpty, "the start did not end: \(engine.status(now: now).notReady)")
  }

  private static let rules: [Rule] = {
    func rule(_ name: String, _ table: String, _ keys: String...) -> Rule {
      Rule(
        name: name, table: TableName(schema: "public", name: table),
        templates: keys.compactMap { try? KeyTemplate(parsing: $0) })
    }
    var partial = rule("partial", "users", "partial:{email|upper}")
    partial.whenChanged = ["email", "name"]
    partial.conditions = [Rule.Condition(column: "name", values: ["a", nil])]
    var again = rule("again", "documents", "document:{id}", "title:{title|trim|url|md5}")
    again.redeleteAfter = .milliseconds(500)
    return [
      rule("users", "users", "user:{id}", "user:email:{email|lower}"), partial, again,
      rule("types", "types", "type:{{{c3}}}:{c11}:{c14|sha1}"),
      Rule(messages: "messages", pattern: "note:*"),
    ]
  }()

  private static let facts = SourceFacts(
    systemIdentifier: "7412", timeline: 1, crashMarker: "c", flushLSN: LSN(0x1000), insertLSN: LSN(0x1000),
    confirmedFlush: LSN(0x1000), slotCreated: false, asynchronousCommit: false, publication: [:],
    unpublished: [], snapshot: TransactionSnapshot(xmin: 5, xmax: 5, inProgress: []),
    partitioned: [TableName(schema: "public", name: "documents")], bareTables: [:])

  // MARK: Steps

  mutating func perform(_ step: EngineScript.Step) throws {
    switch step {
    case .message(let payload):
      try receive(Array("w".utf8) + [UInt8](repeating: 0, count: 22) + [0x10, 0] + payload)
    case .frame(let frame): try receive(frame)
    case .acknowledge(let count, let isBoasting): try acknowledge(count, isBoasting: isBoasting)
    case .reply(let text): for reply in ReplyText.replies(text) { try handle(.redisReply(target: 0, reply)) }
    case .pass(let milliseconds): try pass(milliseconds: milliseconds)
    case .answer(let body): try answer(body)
    case .disturb(let body): try disturb(body)
    }
  }

  private mutating func receive(_ frame: [UInt8]) throws {
    let isRead = engine.source.phase == .streaming && engine.stream.unplaced == nil
    let before = engine.statistics.malformedMessages
    engine.receive(frame.span, now: now)
    if isRead, !isReadable(frame) {
      try require(
        engine.statistics.malformedMessages == before + 1, "a message that cannot be read was not counted")
      try require(
        engine.configuration.rules.indices.allSatisfy { rule in
          engine.flushes.open.contains { $0.rule == rule }
        },
        "a message that cannot be read has no flush of every rule")
    }
    try settle()
    try handle(.inputDrained)
  }

  private func isReadable(_ frame: [UInt8]) -> Bool {
    do {
      guard case .data(_, let payload) = try ReplicationFrame.decode(frame.span) else { return true }
      switch plugin {
      case .pgoutput:
        var images = RowImages()
        _ = try PgoutputDecoder.decode(frame.span, at: payload, into: &images)
      case .wal2json:
        var decoder = Wal2jsonDecoder()
        try decoder.decode(frame.span, at: payload)
      // It reads no stream.
      case .notify: break
      }
      return true
    } catch {
      return false
    }
  }

  private mutating func pass(milliseconds: Int64) throws {
    now = now.advanced(by: .milliseconds(milliseconds))
    for _ in 0..<100 {
      guard let deadline = engine.deadline, deadline <= now.monotonic else { return }
      try handle(.deadlineReached)
    }
    throw Violation("a deadline that has passed stays the next one")
  }

  /// PostgreSQL's answer; a byte says what else than the likely it shows.
  private mutating func answer(_ body: [UInt8]) throws {
    let mood = body.first ?? 0
    let all = TransactionSnapshot(xmin: 1 << 31, xmax: 1 << 31, inProgress: [])
    let none = TransactionSnapshot(xmin: 5, xmax: 5, inProgress: [5])
    let snapshot = mood & 1 == 0 ? all : none
    let text = String(decoding: body.dropFirst(), as: UTF8.self)
    guard case .asking = engine.queries.link else { return }
    if isAskedForRetention {
      isAskedForRetention = false
      let wal = RetainedWAL(bytes: UInt64(mood), safeBytes: mood & 2 == 0 ? nil : 0, status: nil)
      return try handle(.retention(mood & 1 == 0 ? .slot(wal) : nil))
    }
    if engine.flushes.job?.phase == .askingTransaction {
      return try handle(.currentTransaction(mood & 2 == 0 ? 6 : .max))
    }
    if engine.flushes.job?.phase == .askingWALEnd { return try handle(.walEnd(LSN(text) ?? LSN(0x2000))) }
    if let unplaced = engine.stream.unplaced {
      let names: Set =
        mood & 4 == 0 ? [unplaced.relation.table] : [TableName(schema: "public", name: "documents")]
      let lineage = TableLineage(names: names, isPublished: mood & 8 == 0)
      return try handle(.lineage(mood & 16 == 0 ? lineage : nil, snapshot))
    }
    try handle(.snapshot(TransactionSnapshot(text) ?? snapshot))
  }

  private mutating func disturb(_ body: [UInt8]) throws {
    let failure = SourceFailure(.unavailable, "lost")
    switch body.first ?? 0 {
    case 0: try handle(.sourceFailed(failure))
    case 1: try handle(.sourceConnected(Self.facts))
    case 2: try handle(.replicationStarted(confirmedFlush: Self.facts.confirmedFlush))
    case 3: try handle(.redisFailed(target: 0, reason: "lost"))
    case 4: try handle(.redisConnected(target: 0))
    case 5: try handle(.queryFailed(failure))
    case 6: try handle(.queryReconnected(Self.facts))
    case 7: try handle(.awaited(LSN(body.dropFirst().prefix(8).reduce(0) { $0 << 8 | UInt64($1) })))
    case 8: try handle(.blocker(nil))
    default: try handle(.stop)
    }
  }

  mutating func reply(_ reply: RedisReply) throws { try handle(.redisReply(target: 0, reply)) }

  private mutating func handle(_ event: Event) throws {
    engine.handle(event, now: now)
    try settle()
  }

  /// Takes every effect, as the shell does.
  private mutating func settle() throws {
    var count = 0
    while let effect = engine.nextEffect() {
      count += 1
      try require(count <= 10_000, "10,000 effects at one instant")
      if case .queryRetention = effect { isAskedForRetention = true }
      guard case .sendRedis(_, let bytes) = effect else { continue }
      for command in try CommandText.commands(bytes) { try requireSense(command) }
    }
    _ = engine.status(now: now)
    _ = engine.wantsInput
    _ = engine.isBehind(at: now)
  }

  private func requireSense(_ command: [[UInt8]]) throws {
    guard let name = command.first.map({ String(decoding: $0, as: UTF8.self) }) else {
      throw Violation("a command without a name")
    }
    let known = ["INFO", "GET", "MULTI", "UNLINK", "SET", "EVAL", "EXEC", "SCAN"]
    try require(known.contains(name), "the command \(name)")
    guard name == "UNLINK" else { return }
    for key in command.dropFirst() where WatermarkKeys.isOwn(key) {
      throw Violation("UNLINK of cdcd's own key")
    }
  }
}
