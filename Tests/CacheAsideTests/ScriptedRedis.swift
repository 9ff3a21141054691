import CacheAside
import Synchronization

/// A transport that answers what a test wrote down, for replies that a real Redis does not give on demand.
final class ScriptedRedis: RedisTransport {
  struct NoAnswer: Error {}

  private let answers: Mutex<[RESPReply]>
  private let commands = Mutex<[[[UInt8]]]>([])

  /// After these it has no answer.
  init(_ answers: RESPReply...) { self.answers = Mutex(answers) }

  /// What was sent.
  var sent: [[[UInt8]]] { commands.withLock { $0 } }

  func send(_ command: [[UInt8]]) async throws -> RESPReply {
    commands.withLock { $0.append(command) }
    return try answers.withLock { answers in
      guard !answers.isEmpty else { throw NoAnswer() }
      return answers.removeFirst()
    }
  }
}

extension RESPReply {
  static let granted = RESPReply.array([.bulk(Array("L".utf8))])
  static let wait = RESPReply.array([.bulk(Array("W".utf8))])
  static func hit(_ text: String) -> RESPReply {
    .array([.bulk(Array("H".utf8)), .bulk(Array(text.utf8))])
  }
}
