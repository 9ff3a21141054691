import Hummingbird
import HummingbirdCore
import Invalidation

@testable import Daemon

extension EntryPoint {
  /// The target of a request, as it stands in the first line: a path, and for `/wait` the parameters.
  static let wait = EntryPoint(
    name: "wait",
    words: ["/wait?", "lsn=", "0/16B3748", "&", "timeout=", "5s", "ms", "%2F", "%", "#", "://", "FFFFFFFF"]
  ) { bytes in
    let uri = URI(String(decoding: bytes, as: UTF8.self))
    _ = uri.path
    do {
      let request = try WaitRequest(query: uri.queryParameters)
      let longest = WaitRequest.maximumTimeout
      try require(request.lsn > .zero && .zero...longest ~= request.timeout, "\(request) was taken")
    } catch let error as WaitRequestError {
      try require(!error.message.isEmpty, "refused for no reason")
    }
  }
}
