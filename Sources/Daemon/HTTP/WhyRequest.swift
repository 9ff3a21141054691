/// The parameters of `/why`.
struct WhyRequest: Equatable {
  /// Any bytes but none.
  var key: [UInt8]

  /// Takes the query as it stands in the request: `%` and two hexadecimal digits are a byte, so that keys need not be UTF-8,
  /// and `+` is a plus. Throws a sentence that says what was there and what was expected.
  init(query: String?) throws(WhyRequestError) {
    var key: [UInt8]?
    for parameter in (query ?? "").split(separator: "&") {
      let parts = parameter.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts[0] == "key" else {
        throw WhyRequestError("unknown parameter '\(parts[0])'; there is key (an & in a key is %26)")
      }
      guard key == nil else { throw WhyRequestError("the parameter 'key' is there twice, expected it once") }
      key = try WhyRequest.bytes(of: parts.count == 2 ? parts[1] : "")
    }
    guard let key, !key.isEmpty else {
      throw WhyRequestError("key is missing, expected a key of the cache like /why?key=user:7")
    }
    self.key = key
  }

  private static func bytes(of text: Substring) throws(WhyRequestError) -> [UInt8] {
    guard let bytes = PercentEncoding.bytes(of: text) else {
      throw WhyRequestError("key is '\(text)', expected two hexadecimal digits behind each %, or %25")
    }
    return bytes
  }
}

/// What is wrong with a request for `/why`.
struct WhyRequestError: Error, Equatable {
  let message: String

  init(_ message: String) { self.message = message }
}
