/// Why a `RedisClient` has no reply.
public enum RedisClientError: Error, Equatable {
  /// No connection; the reason, without secrets.
  case connectFailed(String)
  /// Redis refused AUTH or SELECT, with this message.
  case refused(String)
  /// The connection broke before the reply came. Whether Redis ran the command is not known.
  case connectionLost
  /// The reply did not come in time. Whether Redis ran the command is not known.
  case timedOut
  /// What came back is not RESP2.
  case malformedReply(RESPError)
  /// `close` was called.
  case closed

  init(_ error: any Error) {
    switch error {
    case let error as RedisClientError: self = error
    case let error as RESPError: self = .malformedReply(error)
    default: self = .connectionLost
    }
  }
}
