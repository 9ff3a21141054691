@testable import Invalidation

extension EngineHarness {
  /// Answers so many commands, or fewer when no more are under way, as a Redis does that has nothing but the watermark.
  mutating func acknowledge(_ count: Int, isBoasting: Bool = false) throws {
    for _ in 0..<count {
      guard let expected = engine.targets[0].expected.first, engine.targets[0].isConnected else { return }
      try reply(likelyReply(to: expected, deleted: isBoasting ? .max : 1))
    }
  }

  private func likelyReply(to expectation: RedisTarget.Expectation, deleted: Int64) -> RedisReply {
    let target = engine.targets[0]
    switch expectation {
    case .serverInformation: return .bulk(Array("run_id:r\r\n".utf8))
    case .replicationInformation: return .bulk(Array("role:master\r\nmaster_replid:h\r\n".utf8))
    case .watermark:
      return target.acknowledgedValue.isEmpty ? .null : .bulk(target.acknowledgedValue)
    case .ruleSet: return .bulk(engine.fingerprint.text)
    case .multi: return .status(Array("OK".utf8))
    case .queued: return .status(Array("QUEUED".utf8))
    case .execution:
      guard let batch = target.inFlight.first else { return .array([]) }
      let others = [RedisReply](repeating: .integer(deleted), count: batch.queuedCommands - 1)
      return .array(others + [.bulk(batch.previous)])
    case .bareDelete, .flushDelete: return .integer(deleted)
    case .repair: return .bulk([])
    case .scan: return .array([.bulk(Array("0".utf8)), .array([.bulk(Array("user:1".utf8))])])
    }
  }
}
