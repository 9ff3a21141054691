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

  /// The same for `/why`: what is taken is what the client asked for.
  static let why = EntryPoint(
    name: "why", words: ["/why?", "key=", "user:7", "&", "%3A", "%ff", "%", "+", "#", "://"]
  ) { bytes in
    let uri = URI(String(decoding: bytes, as: UTF8.self))
    do {
      let key = try WhyRequest(query: uri.query).key
      try require(!key.isEmpty, "no key was taken")
      let text = String(decoding: key, as: UTF8.self)
      guard key.elementsEqual(text.utf8) else { return }
      try require(
        try WhyRequest(query: "key=" + PercentEncoding.text(of: text.utf8)).key == key,
        "\(key) came as another key")
    } catch let error as WhyRequestError {
      try require(!error.message.isEmpty, "refused for no reason")
    }
  }
}
