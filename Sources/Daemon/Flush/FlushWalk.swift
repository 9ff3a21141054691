import Invalidation
import RedisSink

/// Walks over the keys of Redis, and begins anew whenever the connection breaks: a cursor means nothing on another one.
struct FlushWalk {
  var patience: FlushPatience
  /// Of all walks, the one under way included.
  private(set) var summary: FlushSummary
  /// How much of the walk under way, or of the last one, is done.
  private(set) var fraction = 0.0
  private let flush: KeyFlush
  private let began = ContinuousClock.now

  init(_ flush: KeyFlush, patience: FlushPatience) {
    self.flush = flush
    self.patience = patience
    summary = FlushSummary(rules: flush.indices.count)
  }

  /// What ends a try, on one connection.
  private enum Failure: Error {
    /// It is worth another one.
    case lost(String)
    case ended(FlushEnding)
  }

  /// Walks to the end.
  mutating func run(_ indices: [Int]) throws(FlushEnding) {
    var walk = RequestedFlush(
      of: indices, in: flush.rules, command: flush.redis.command, leases: flush.redis.leases,
      rate: flush.redis.flushRate, deletes: flush.deletes)
    let before = summary
    var deletedBeforeFailure: UInt64 = 0
    while true {
      do throws(Failure) {
        try tryOnce(&walk, adding: before)
        patience.succeeded()
        return
      } catch {
        switch error {
        case .ended(let ending): throw ending
        case .lost(let reason):
          if summary.deleted > deletedBeforeFailure { patience.succeeded() }
          deletedBeforeFailure = summary.deleted
          try patience.failed(told(reason))
        }
      }
    }
  }

  private mutating func tryOnce(
    _ walk: inout RequestedFlush, adding before: FlushSummary
  ) throws(Failure) {
    let session = try connect()
    let history = try self.history(session)
    walk.restart()
    while true {
      summary = before.adding(walk, since: began)
      fraction = walk.fraction
      patience.tell(FlushProgress(summary, fraction: fraction, isAtLeases: walk.current?.isLease == true))
      do throws(FlushEnding) { try patience.throwIfInterrupted() } catch { throw .ended(error) }
      switch walk.next(at: Clock.monotonic()) {
      case .send(let command): try send(command, of: &walk, on: session)
      case .wait(let until): try pause(until)
      case .finished:
        // Deletes that a failover has discarded, behind a proxy, show in nothing else.
        guard try self.history(session) == history else {
          throw .lost("it has failed over meanwhile")
        }
        return
      }
    }
  }

  private func connect() throws(Failure) -> RedisSession {
    do throws(RedisFailure) {
      return try RedisSession(flush.redis.address)
    } catch {
      throw error.isRefusal ? .ended(.unreachable(told(error.message))) : .lost(error.message)
    }
  }

  /// The `master_replid` of a primary that has all keys.
  private func history(_ session: RedisSession) throws(Failure) -> String {
    switch try reply(to: respCommand(["INFO"]), on: session) {
    case .bulk(let text):
      let facts = RedisFacts(info: text, save: nil)
      guard facts.role != RedisRole.replica else { throw .lost(RedisRole.replicaProblem) }
      if let obstacle = facts.obstacle { throw .ended(.refused([obstacle])) }
      return facts.history
    case .error(let text): throw failure(command: "info", pattern: nil, text)
    default: throw .lost("INFO was answered by something else")
    }
  }

  private mutating func send(
    _ command: [UInt8], of walk: inout RequestedFlush, on session: RedisSession
  ) throws(Failure) {
    let reply = try reply(to: command, on: session)
    do throws(RequestedFlush.Refusal) {
      try walk.receive(reply)
    } catch {
      throw failure(command: error.command, pattern: error.pattern, error.text)
    }
    patience.answered()
  }

  private func reply(to command: [UInt8], on session: RedisSession) throws(Failure) -> RedisReply {
    do throws(RedisFailure) {
      return try session.replies(to: command, count: 1)[0]
    } catch {
      throw .lost(error.message)
    }
  }

  /// Waiting mends no missing right.
  private func failure(command: String, pattern: String?, _ text: [UInt8]) -> Failure {
    switch RedisReply.kind(ofError: text) {
    case "noauth": return .ended(.unreachable(told(RedisFailure.loginMissing.message)))
    case "noperm":
      return .ended(.refused(refusals(command, pattern, text)))
    case "error" where text.starts(with: "ERR unknown command".utf8):
      return .ended(.refused(refusals(command, pattern, text)))
    default: return .lost(RedisReply.message(ofError: text))
    }
  }

  private func refusals(_ command: String, _ pattern: String?, _ text: [UInt8]) -> [Finding] {
    var refusals = RedisRefusals(user: flush.redis.address.username ?? "default")
    refusals.add(command, pattern: pattern, error: text)
    return refusals.findings
  }

  private func told(_ reason: String) -> String { "Redis \(flush.redis.address.redacted): \(reason)" }

  private func pause(_ until: Int64) throws(Failure) {
    do throws(FlushEnding) {
      try patience.sleep(until: .now + .nanoseconds(until - Clock.monotonic()))
    } catch {
      throw .ended(error)
    }
  }
}
