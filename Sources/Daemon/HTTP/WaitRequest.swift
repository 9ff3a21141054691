import Hummingbird
import Invalidation

/// The parameters of `/wait`.
struct WaitRequest: Equatable {
  static let defaultTimeout = Duration.seconds(5)
  static let maximumTimeout = Duration.seconds(60)

  var lsn: LSN
  var timeout = WaitRequest.defaultTimeout

  /// Throws a sentence that names the parameter, what was there and what was expected.
  init(query: some Sequence<(key: Substring, value: Substring)>) throws(WaitRequestError) {
    var lsn: LSN?
    var names: Set<Substring> = []
    for (name, value) in query {
      guard names.insert(name).inserted else {
        throw WaitRequestError("the parameter '\(name)' is there twice, expected it once")
      }
      switch name {
      case "lsn":
        guard let position = LSN(value), position > .zero else {
          throw WaitRequestError("lsn is '\(value)', expected a position like 0/16B3748")
        }
        lsn = position
      case "timeout":
        timeout = try WaitRequest.duration(value)
      default:
        throw WaitRequestError("unknown parameter '\(name)'; there are lsn and timeout")
      }
    }
    guard let lsn else {
      throw WaitRequestError(
        "lsn is missing, expected a position like /wait?lsn=0/16B3748, from pg_current_wal_flush_lsn()")
    }
    self.lsn = lsn
  }

  private static func duration(_ text: Substring) throws(WaitRequestError) -> Duration {
    guard let duration = Duration(text: String(text)) else {
      throw WaitRequestError("timeout is '\(text)', expected a number with ms, s or m, like 5s")
    }
    guard duration <= maximumTimeout else {
      throw WaitRequestError("timeout is '\(text)', expected at most 60s")
    }
    return duration
  }
}

/// What is wrong with a request for `/wait`.
struct WaitRequestError: Error, Equatable {
  let message: String

  init(_ message: String) { self.message = message }
}
