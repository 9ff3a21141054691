import Invalidation

/// An Engine, and servers that answer at once what a healthy PostgreSQL and Redis would, at no cost of note.
struct ModelWorld {
  /// When the barrier's question is answered.
  enum Visibility: String, CaseIterable {
    /// Every transaction is visible before it arrives, as with a backlog.
    case backlog
    /// Each is visible when its commit has arrived, as where the consumer keeps up.
    case live
  }

  private var engine: Engine
  private let visibility: Visibility
  private var now = Moment(monotonic: 1_000_000_000, wall: 1_000_000)
  private var watermark: [UInt8] = []
  private var isSnapshotDue = false
  private var lastTransaction: UInt32 = 3
  /// Bytes of commands that the Engine has sent, and deletes that it was told of.
  private(set) var commandBytes = 0
  var deletedKeys: UInt64 { engine.statistics.keysDeleted.reduce(0, +) }

  init(_ mode: SourceMode, rules: [Rule], visibility: Visibility) throws {
    self.visibility = visibility
    engine = Engine(
      configuration: EngineConfiguration(rules: rules, slot: "cdcd", runIdentifier: "run", mode: mode),
      seed: 1,
      now: now)
    settle()
    for _ in 0..<100 where !engine.status(now: now).notReady.isEmpty {
      now = now.advanced(by: .milliseconds(100))
      if let deadline = engine.deadline, deadline <= now.monotonic {
        engine.handle(.deadlineReached, now: now)
      }
      settle()
      answerSnapshot(seeing: lastTransaction)
    }
    guard engine.status(now: now).notReady.isEmpty else {
      throw Failure("the Engine does not start: \(engine.status(now: now).notReady)")
    }
  }

  /// Hands one message over as the shell does: `isLast` where the socket is empty behind it.
  mutating func receive(_ message: [UInt8], isLast: Bool) {
    engine.receive(message.span, now: now)
    if isLast { engine.handle(.inputDrained, now: now) }
    settle()
  }

  /// A transaction has been received to its end.
  mutating func committed(_ xid: UInt32) {
    lastTransaction = xid
    if visibility == .live { answerSnapshot(seeing: xid) }
  }

  private mutating func answerSnapshot(seeing xid: UInt32) {
    guard isSnapshotDue else { return }
    isSnapshotDue = false
    let next = visibility == .live ? UInt64(xid) + 1 : 1 << 31
    engine.handle(.snapshot(TransactionSnapshot(xmin: next, xmax: next, inProgress: [])), now: now)
    settle()
  }

  private mutating func settle() {
    while let effect = engine.nextEffect() {
      switch effect {
      case .connectSource: engine.handle(.sourceConnected(Self.facts), now: now)
      case .startReplication:
        engine.handle(.replicationStarted(confirmedFlush: Self.facts.confirmedFlush), now: now)
      case .querySnapshot: isSnapshotDue = true
      case .queryCurrentTransaction: engine.handle(.currentTransaction(3), now: now)
      case .queryWALEnd: engine.handle(.walEnd(Self.facts.flushLSN), now: now)
      case .queryRetention: engine.handle(.retention(nil), now: now)
      case .connectRedis(let target): engine.handle(.redisConnected(target: target), now: now)
      case .sendRedis(let target, let bytes): answer(bytes, target)
      default: break
      }
    }
  }

  // MARK: Redis

  private mutating func answer(_ commands: [UInt8], _ target: Int) {
    commandBytes += commands.count
    var reader = CommandReader(commands)
    /// Between MULTI and EXEC: the results so far.
    var results: [RedisReply]?
    while let command = reader.next() {
      switch command.name {
      case "MULTI":
        results = []
        reply(.status(Array("OK".utf8)), target)
      case "EXEC":
        reply(.array(results ?? []), target)
        results = nil
      default:
        let result = self.result(of: command)
        if results == nil {
          reply(result, target)
        } else {
          results?.append(result)
          reply(.status(Array("QUEUED".utf8)), target)
        }
      }
    }
  }

  private mutating func reply(_ reply: RedisReply, _ target: Int) {
    engine.handle(.redisReply(target: target, reply), now: now)
  }

  private mutating func result(of command: CommandReader.Command) -> RedisReply {
    switch command.name {
    case "INFO": return .bulk(Array("run_id:r\r\nrole:master\r\nmaster_replid:h\r\n".utf8))
    case "SCAN": return .array([.bulk(Array("0".utf8)), .array([])])
    case "GET": return .null
    case "EVAL":
      // The script, how many keys, the key, the watermark before, the new one.
      let before = watermark
      watermark = command.argument(5)
      return .bulk(before)
    case "SET": return .status(Array("OK".utf8))
    default: return .integer(Int64(command.count - 1))
    }
  }

  private static let facts = SourceFacts(
    systemIdentifier: "7412", timeline: 1, crashMarker: "c", flushLSN: LSN(0x1000), insertLSN: LSN(0x1000),
    confirmedFlush: LSN(0x1000), slotCreated: false, asynchronousCommit: false, publication: [:],
    unpublished: [],
    snapshot: TransactionSnapshot(xmin: 3, xmax: 3, inProgress: []), partitioned: [], bareTables: [:])
}
