import Glibc
import Invalidation

/// For one-shot commands: they wait for the server, and a server that is frozen keeps none of them.
extension Session {
  /// Connects within the time that the parameters give.
  static func connected(_ parameters: ConnectionParameters) throws(SourceFailure) -> Session {
    let session = try Session(parameters)
    let isConnected = try session.wait(within: parameters.connectTime) { progress in
      if case .connected = progress { true } else { nil }
    }
    guard isConnected == true else {
      throw session.connection.timeout("connecting", within: parameters.connectTime)
    }
    return session
  }

  /// To the first of the hosts that can be had.
  static func connected(toOneOf hosts: [ConnectionParameters]) throws(SourceFailure) -> Session {
    var failures: [SourceFailure] = []
    for host in hosts {
      do throws(SourceFailure) {
        return try connected(host)
      } catch {
        failures.append(error)
      }
    }
    throw SourceFailure(
      failures.last?.kind ?? .misconfigured, failures.map(\.message).joined(separator: "; "))
  }

  /// Runs one statement, ten seconds at most. After a failure the session is of no use.
  func rows(of sql: String, doing action: String) throws(SourceFailure) -> [[String?]] {
    try ask(sql, doing: action)
    let answer = try wait(within: answerTime) { progress in
      if case .answered(let answer) = progress { answer } else { nil }
    }
    switch answer {
    case .rows(let rows)?: return rows
    case .error(let error)?: throw SourceFailure(error, doing: action)
    case .copyBoth?: throw SourceFailure(.unavailable, "PostgreSQL: a stream nobody asked for")
    case nil: throw connection.timeout(action)
    }
  }

  /// Advances until `outcome` is there; nil when it is not within so many nanoseconds.
  private func wait<Outcome>(
    within time: Int64, for outcome: (Progress) -> Outcome?
  ) throws(SourceFailure) -> Outcome? {
    let end = ContinuousClock.now + .nanoseconds(time)
    while ContinuousClock.now < end {
      var descriptor = pollfd(fd: fileDescriptor, events: pollEvents, revents: 0)
      guard unsafe poll(&descriptor, 1, 100) > 0 else { continue }
      let progress = advance()
      if case .broken(let failure) = progress { throw failure }
      if let outcome = outcome(progress) { return outcome }
    }
    return nil
  }
}
